# The REST API: Chalice's route document has the paths, and `x-tradehook-function` names each method's function.

locals {
  release_dir = abspath(coalesce(var.release_dir, "${path.module}/../../build/lambda"))
  artifact    = "${local.release_dir}/tradehook.zip"
  manifest    = jsondecode(file("${local.release_dir}/manifest.json"))
  routes      = jsondecode(file("${local.release_dir}/routes.json"))

  route_owners = distinct(flatten([
    for path, item in local.routes.paths : [for method, operation in item : operation["x-tradehook-function"] if can(operation["x-tradehook-function"])]
  ]))

  # "POST /api/webhook" => "~1api~1webhook/POST", which is how API Gateway names a method in a stage's settings.
  webhook_methods = merge([
    for path, item in local.routes.paths : {
      for method, operation in item :
      "${method == "x-amazon-apigateway-any-method" ? "ANY" : upper(method)} ${path}" => "${replace(path, "/", "~1")}/${method == "x-amazon-apigateway-any-method" ? "ANY" : upper(method)}"
      if try(local.functions[operation["x-tradehook-function"]].webhooks, false)
    }
  ]...)

  # Gateway responses: API Gateway's own answers have the format of the functions' answers. An overloaded or late gateway answers
  # 503: TradingView retries an alert on 500 to 599 except 504, and on nothing else
  # (https://www.tradingview.com/support/solutions/43000529348-about-webhooks/). A duplicate is safe, since it trades once.
  gateway_responses = {
    MISSING_AUTHENTICATION_TOKEN = { status = 404, code = "unknown_route", error = "There is no such route" } # AWS's name for an unknown path
    INVALID_SIGNATURE            = { status = 404, code = "unknown_route", error = "There is no such route" } # the same with an Authorization header that is no AWS signature: no route here takes one
    RESOURCE_NOT_FOUND           = { status = 404, code = "unknown_route", error = "There is no such route" }
    ACCESS_DENIED                = { status = 403, code = "forbidden", error = "Access denied" }
    BAD_REQUEST_BODY             = { status = 400, code = "bad_request", error = "The request body is not valid" }
    BAD_REQUEST_PARAMETERS       = { status = 400, code = "bad_request", error = "The request parameters are not valid" }
    UNSUPPORTED_MEDIA_TYPE       = { status = 415, code = "unsupported_media_type", error = "This content type is not understood" }
    REQUEST_TOO_LARGE            = { status = 413, code = "too_large", error = "The body is too large" }
    THROTTLED                    = { status = 503, code = "unavailable", error = "Try again in a moment" }
    QUOTA_EXCEEDED               = { status = 503, code = "unavailable", error = "Try again in a moment" }
    WAF_FILTERED                 = { status = 403, code = "forbidden", error = "Refused by the firewall" }
    INTEGRATION_TIMEOUT          = { status = 503, code = "unavailable", error = "Try again in a moment" }
    INTEGRATION_FAILURE          = { status = 503, code = "unavailable", error = "Try again in a moment" } # 504 otherwise
    DEFAULT_4XX                  = { status = null, code = "bad_request", error = "The request was refused" }
    DEFAULT_5XX                  = { status = null, code = "internal", error = "Something went wrong on our side" }
  }

  # Built from names, not from resources' attributes: the functions can then have the API's address without a cycle.
  api_document = {
    swagger  = "2.0"
    info     = { title = "${local.prefix}api", version = "1.0" }
    schemes  = ["https"]
    produces = ["application/json"]
    consumes = ["application/json"]
    definitions = {
      for name, definition in try(local.routes.definitions, {}) : name => definition
    }
    paths = {
      for path, item in local.routes.paths : path => merge(
        { for method, operation in item : method => operation if !can(operation["x-tradehook-function"]) },
        {
          for method, operation in item : method => merge(
            { for key, value in operation : key => value if key != "x-tradehook-function" },
            {
              # Every content type reaches the function, which answers 415 itself if needed. Bodies arrive unchanged.
              x-amazon-apigateway-integration = {
                type                = "aws_proxy"
                httpMethod          = "POST"
                uri                 = "arn:${local.partition}:apigateway:${var.region}:lambda:path/2015-03-31/functions/${local.arn_of.function[operation["x-tradehook-function"]]}/invocations"
                passthroughBehavior = "when_no_match"
                timeoutInMillis     = min(29000, local.functions[operation["x-tradehook-function"]].timeout_s * 1000)
              }
            }
          ) if can(operation["x-tradehook-function"])
        }
      )
    }
    x-amazon-apigateway-gateway-responses = {
      for type, answer in local.gateway_responses : type => merge(
        answer.status == null ? {} : { statusCode = tostring(answer.status) },
        {
          responseParameters = merge(
            {
              "gatewayresponse.header.Content-Type"              = "'application/json'"
              "gatewayresponse.header.X-Content-Type-Options"    = "'nosniff'"
              "gatewayresponse.header.Cache-Control"             = "'no-store'"
              "gatewayresponse.header.Referrer-Policy"           = "'no-referrer'"
              "gatewayresponse.header.Strict-Transport-Security" = "'max-age=31536000'"
            },
            answer.status == 503 ? { "gatewayresponse.header.Retry-After" = "'1'" } : {}
          )
          responseTemplates = { "application/json" = jsonencode({ code = answer.code, error = answer.error }) }
        }
      )
    }
  }

  public_urls = {
    TRADEHOOK_PUBLIC_URL = local.api_url
    TRADEHOOK_WS_URL     = try(values(local.websocket_urls)[0], "")
  }
  api_url = var.api_domain != null ? "https://${var.api_domain}" : "https://${aws_api_gateway_rest_api.this.id}.execute-api.${var.region}.${local.dns_suffix}/${var.stage}"
}

resource "aws_api_gateway_rest_api" "this" {
  name                         = "${local.prefix}api"
  description                  = "${local.stack.name}: webhooks, and the API for users"
  body                         = jsonencode(local.api_document)
  disable_execute_api_endpoint = var.api_domain != null && var.dashboard == false

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
    precondition {
      condition     = alltrue([for owner in local.route_owners : contains(keys(local.http_functions), owner)])
      error_message = "The route document gives a path to a function that stack.yaml does not mark `http: true`: run `make build` again."
    }
    precondition {
      condition     = try(local.manifest.routes_sha256, "") == "" || try(local.manifest.routes_sha256, "") == filesha256("${local.release_dir}/routes.json")
      error_message = "The route document is not the one its manifest describes: run `make build` again."
    }
  }
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  triggers    = { document = sha256(jsonencode(local.api_document)) }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_lambda_permission.http]
}

resource "aws_api_gateway_stage" "this" {
  #checkov:skip=CKV2_AWS_4:Both method settings below log errors, the check cannot see those made with for_each
  #checkov:skip=CKV_AWS_120:No response cache - every answer is somebody's own and must be current
  #checkov:skip=CKV2_AWS_51:No client certificate - the integration is Lambda, called with AWS's own signature
  #checkov:skip=CKV2_AWS_77:With the firewall (waf) comes AWSManagedRulesKnownBadInputsRuleSet, which holds the Log4j rule
  #checkov:skip=CKV2_AWS_29:The firewall is a variable (waf): it costs more per month than a small deployment's everything else
  rest_api_id          = aws_api_gateway_rest_api.this.id
  deployment_id        = aws_api_gateway_deployment.this.id
  stage_name           = var.stage
  xray_tracing_enabled = var.tracing

  # No query string and no header: tokens travel in both.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api.arn
    format = jsonencode({
      at          = "$context.requestTime"
      request_id  = "$context.requestId"
      trace_id    = "$context.xrayTraceId"
      ip          = "$context.identity.sourceIp"
      method      = "$context.httpMethod"
      route       = "$context.resourcePath"
      status      = "$context.status"
      bytes       = "$context.responseLength"
      latency     = "$context.responseLatency"
      integration = "$context.integrationLatency"
      error       = "$context.error.responseType"
      waf         = "$context.waf.status"
    })
  }

  depends_on = [aws_api_gateway_account.this]
}

resource "aws_api_gateway_method_settings" "this" {
  #checkov:skip=CKV_AWS_225:No response cache - every answer is somebody's own and must be current
  #checkov:skip=CKV_AWS_308:No response cache, so none to encrypt
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = var.throttle.rate
    throttling_burst_limit = var.throttle.burst
    metrics_enabled        = false # of each method and resource, 0.30 dollars each: the API's own metrics are free and have the alarms
    logging_level          = "ERROR"
    data_trace_enabled     = false # it would write bodies, and with them credentials, into the log
  }

  depends_on = [aws_api_gateway_account.this]
}

# Each webhook method has its own throttle, which no other method's requests use up.
resource "aws_api_gateway_method_settings" "inbound" {
  #checkov:skip=CKV_AWS_225:No response cache - every answer is somebody's own and must be current
  #checkov:skip=CKV_AWS_308:No response cache, so none to encrypt
  #checkov:skip=CKV_AWS_276:No data trace - it would write credentials into the log
  for_each = local.webhook_methods

  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = each.value

  settings {
    throttling_rate_limit  = var.webhook_throttle.rate
    throttling_burst_limit = var.webhook_throttle.burst
    metrics_enabled        = false
    logging_level          = "ERROR"
    data_trace_enabled     = false
  }

  # Sequential with the stage's own settings: both update the same stage.
  depends_on = [aws_api_gateway_account.this, aws_api_gateway_method_settings.this]
}

resource "aws_cloudwatch_log_group" "api" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts with its own key; the format holds no credential
  #checkov:skip=CKV_AWS_338:Retention is the operator's choice (stack.yaml, log_retention_days)
  name              = "/aws/apigateway/${local.prefix}api"
  retention_in_days = local.log_retention_days
}

resource "aws_lambda_permission" "http" {
  for_each = local.http_functions

  function_name = aws_lambda_function.this[each.key].function_name
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  # Any method and path of this one API and stage: the route document selects the function's own.
  source_arn = "${aws_api_gateway_rest_api.this.execution_arn}/${var.stage}/*"
}

# API Gateway writes logs with one role per account and region, whatever the API. Where another deployment has set it already,
# `manage_api_gateway_account = false` leaves it alone.
resource "aws_api_gateway_account" "this" {
  count               = var.manage_api_gateway_account ? 1 : 0
  cloudwatch_role_arn = aws_iam_role.api_logs[0].arn
  depends_on          = [aws_iam_role_policy_attachment.api_logs]
}

resource "aws_iam_role" "api_logs" {
  count                = var.manage_api_gateway_account ? 1 : 0
  name                 = "${local.prefix}api-logs"
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole"]
      Principal = { Service = ["apigateway.amazonaws.com"] }
    }]
  })
}

# AWS's own policy: the role is the account's, used by API Gateway itself for every API there, so it cannot be narrowed to ours.
resource "aws_iam_role_policy_attachment" "api_logs" {
  count      = var.manage_api_gateway_account ? 1 : 0
  role       = aws_iam_role.api_logs[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}
