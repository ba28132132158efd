locals {
  reserved_concurrency = {
    for name, function in local.functions : name => try(
      var.reserved_concurrency[name],
      var.reserve_concurrency ? function.reserved_concurrency : null,
      null
    )
  }

  # Settings of every function. The rest of its environment are the addresses of its grants.
  environment = merge(
    {
      TRADEHOOK_STAGE              = var.stage
      TRADEHOOK_EXCHANGES          = join(" ", [for name, exchange in local.stack.exchanges : name if length(exchange.ccxt) > 0])
      POWERTOOLS_SERVICE_NAME      = local.stack.name
      POWERTOOLS_METRICS_NAMESPACE = local.metrics_namespace
      POWERTOOLS_LOG_LEVEL         = var.log_level
    },
    local.public_urls,
    try(local.stack.environment, {}),
    { for name, value in var.settings : "TRADEHOOK_${upper(name)}" => value }
  )
}

# The artifact is uploaded once and shared by all the functions. Each release is a version of one object, and earlier versions stay.
resource "aws_s3_bucket" "artifacts" {
  #checkov:skip=CKV_AWS_18:No access log - only deployments touch the bucket, and CloudTrail records those
  #checkov:skip=CKV_AWS_144:No replication - the build is reproducible, so a lost artifact is built again
  #checkov:skip=CKV_AWS_145:SSE-S3 - the artifact is this repository's code and holds no secret
  #checkov:skip=CKV2_AWS_62:No event notifications - nothing has to happen when an artifact is uploaded
  bucket        = "${local.prefix}artifacts-${local.account_id}"
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket                  = aws_s3_bucket.artifacts.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  versioning_configuration {
    status = "Enabled"
  }
}

# A rollback needs earlier releases, but none older than a year.
resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    id     = "old-releases"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 365
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.artifacts]
}

resource "aws_s3_bucket_policy" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyWithTLS"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:*"]
      # The bucket and every object in it.
      Resource  = ["arn:${local.partition}:s3:::${local.prefix}artifacts-${local.account_id}", "arn:${local.partition}:s3:::${local.prefix}artifacts-${local.account_id}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
  depends_on = [aws_s3_bucket_public_access_block.artifacts]
}

resource "aws_s3_object" "artifact" {
  #checkov:skip=CKV_AWS_186:SSE-S3 - the artifact is this repository's code and holds no secret
  bucket      = aws_s3_bucket.artifacts.id
  key         = "tradehook.zip"
  source      = local.artifact
  source_hash = filesha256(local.artifact)

  lifecycle {
    precondition {
      condition     = lower(try(local.manifest.sha256, "")) == filesha256(local.artifact)
      error_message = "The artifact is not the one its manifest describes: run `make build` again."
    }
    precondition {
      condition     = local.manifest.architecture == "arm64"
      error_message = "The artifact was built for another processor than Lambda's arm64: build it with `--target lambda`."
    }
  }

  depends_on = [aws_s3_bucket_versioning.artifacts]
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:A dead-letter queue of the function serves asynchronous calls only; queues, streams and schedules have their own
  #checkov:skip=CKV_AWS_117:In a VPC only with fixed_egress - the services used have public endpoints, and a VPC adds cost and cold start
  #checkov:skip=CKV_AWS_173:Lambda encrypts the environment with its own key; a customer key would add a call to each cold start
  #checkov:skip=CKV_AWS_272:No code signing - who could replace the code could replace the signing profile; the hash is in the plan
  #checkov:skip=CKV_AWS_115:Reserved concurrency is opt-in - it fails in new accounts, whose whole quota is 10
  for_each = local.functions

  function_name                  = local.function_names[each.key]
  description                    = each.value.does
  role                           = aws_iam_role.function[each.key].arn
  handler                        = each.value.handler
  runtime                        = "python${local.manifest.python}"
  architectures                  = ["arm64"]
  memory_size                    = each.value.memory_mb
  timeout                        = each.value.timeout_s
  reserved_concurrent_executions = local.reserved_concurrency[each.key]
  s3_bucket                      = aws_s3_object.artifact.bucket
  s3_key                         = aws_s3_object.artifact.key
  s3_object_version              = aws_s3_object.artifact.version_id
  source_code_hash               = filebase64sha256(local.artifact)

  environment {
    variables = merge(
      local.environment,
      local.grant_environment[each.key],
      each.value.environment,
      { for name, value in lookup(var.secret_settings, each.value.base, {}) : "TRADEHOOK_${upper(name)}" => value },
      { for name, parameter in lookup(var.secret_parameters, each.value.base, {}) : "TRADEHOOK_${upper(name)}_PARAMETER" => parameter }
    )
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    log_format            = "JSON"
    application_log_level = var.log_level == "DEBUG" ? "DEBUG" : "INFO" # a floor under the metrics, which are log lines too; POWERTOOLS_LOG_LEVEL decides above it
    system_log_level      = "WARN"                                      # three lines less per invocation; duration and memory are in the metrics and traces
  }

  tracing_config {
    # Not for scheduled functions: 43,200 runs a month each, which need no trace.
    mode = var.tracing && !contains(values(local.schedule_triggers)[*].function, each.key) ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = contains(local.egress_functions, each.key) ? [1] : []
    content {
      subnet_ids         = aws_subnet.private[*].id
      security_group_ids = [aws_security_group.functions[0].id]
    }
  }

  # The grants first, so that no release runs without them.
  depends_on = [
    aws_iam_role_policy.logs, aws_iam_role_policy.traces, aws_iam_role_policy.network, aws_iam_role_policy.grant,
    aws_iam_role_policy.queue_trigger, aws_iam_role_policy.stream_trigger, aws_iam_role_policy_attachment.tables, terraform_data.stack_is_sound,
  ]
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts with its own key; secrets are masked before they are logged
  #checkov:skip=CKV_AWS_338:Retention is the operator's choice (stack.yaml, log_retention_days); the ledger and webhook log are in tables
  for_each = local.functions

  name              = "/aws/lambda/${local.function_names[each.key]}"
  retention_in_days = local.log_retention_days
}

locals {
  log_retention_days = coalesce(var.log_retention_days, local.stack.logs.retention_days)
}

# Lambda stops a chain of about 16 runs through a function's own queue
# (https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html). Intended chains with their own end: releasing paused
# deliveries, deliveries of one ordering key, a welcome's tries and the status checks of an order.
resource "aws_lambda_function_recursion_config" "this" {
  for_each = toset([
    for t in values(local.queue_triggers) : t.function
    if contains(try(local.grants["${t.function}/queue/${t.source}"].actions, []), "SendMessage")
  ])

  function_name  = aws_lambda_function.this[each.key].function_name
  recursive_loop = "Allow"
}
