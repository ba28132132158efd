# One role per function. Its grants on tables are statements of managed policies, named after the table, since all of a role's inline
# policies together may have 10,240 characters only; every other grant is an inline policy of its own. A plan names every added or removed grant.

locals {
  # The actions of stack.yaml, with their service.
  grant_service = { table = "dynamodb", queue = "sqs", topic = "sns", key = "kms", websocket = "execute-api" }

  # A managed policy has 6,144 characters and a role ten of them: a hundred tables.
  table_policies = merge([
    for function_name, _ in local.functions : {
      for number, ids in chunklist([for id, grant in local.grants : id if grant.function == function_name && grant.kind == "table"], 10) :
      "${function_name}/tables-${number + 1}" => { function = function_name, number = number + 1, grants = ids }
    }
  ]...)

  # With Query come the table's own indexes, by name, since a grant on the table is a grant on its access patterns. They share the
  # statement: of all the actions granted here an index knows only Query.
  grant_resources = {
    for id, grant in local.grants : id => (
      grant.kind == "table" ? concat(
        [local.arn_of.table[grant.name]],
        contains(grant.actions, "Query") ? [for index in keys(try(local.stack.tables[grant.name].indexes, {})) : "${local.arn_of.table[grant.name]}/index/${index}"] : []
      ) :
      grant.kind == "queue" ? [local.arn_of.queue[grant.name]] :
      grant.kind == "topic" ? [local.arn_of.topic[grant.name]] :
      grant.kind == "key" ? [aws_kms_key.this[grant.name].arn] :
      # A connection's id is not known before it connects: the grant is on all the connections of this one API.
      [for method in ["POST", "GET", "DELETE"] : "${aws_apigatewayv2_api.websocket[grant.name].execution_arn}/${local.websocket_stages[grant.name]}/${method}/@connections/*"]
    )
  }

  key_context = { for id, grant in local.grants : id => grant.kind == "key" ? try(local.stack.keys[grant.name].context, []) : [] }

  grant_address = {
    for id, grant in local.grants : id => (
      grant.kind == "table" ? local.table_names[grant.name] :
      grant.kind == "queue" ? "https://sqs.${var.region}.${local.dns_suffix}/${local.account_id}/${local.queue_names[grant.name]}" :
      grant.kind == "topic" ? local.arn_of.topic[grant.name] :
      grant.kind == "key" ? aws_kms_key.this[grant.name].arn :
      "https://${aws_apigatewayv2_api.websocket[grant.name].id}.execute-api.${var.region}.${local.dns_suffix}/${local.websocket_stages[grant.name]}"
    )
  }

  grant_environment = {
    for function_name, _ in local.functions : function_name => {
      for id, grant in local.grants :
      "${upper(grant.kind)}_${upper(replace(grant.name, "-", "_"))}" => local.grant_address[id] if grant.function == function_name
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name        = local.function_names[each.key]
  description = "${local.stack.name}: ${each.value.does}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole"]
      Principal = { Service = ["lambda.amazonaws.com"] }
    }]
  })
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_policy" "tables" {
  for_each = local.table_policies

  name        = "${local.function_names[each.value.function]}-tables-${each.value.number}"
  description = "Tables that ${each.value.function} is granted in stack.yaml"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for id in each.value.grants : {
        Sid      = join("", [for word in split("_", local.grants[id].name) : title(word)])
        Effect   = "Allow"
        Action   = [for action in local.grants[id].actions : "dynamodb:${action}"]
        Resource = local.grant_resources[id]
      }
    ]
  })
}

resource "aws_iam_role_policy_attachment" "tables" {
  for_each = local.table_policies

  role       = aws_iam_role.function[each.value.function].name
  policy_arn = aws_iam_policy.tables[each.key].arn
}

resource "aws_iam_role_policy" "grant" {
  for_each = { for id, grant in local.grants : id => grant if grant.kind != "table" }

  role = aws_iam_role.function[each.value.function].id
  name = "${each.value.kind}-${each.value.name}"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(
      {
        Effect   = "Allow"
        Action   = [for action in each.value.actions : "${local.grant_service[each.value.kind]}:${action}"]
        Resource = local.grant_resources[each.key]
      },
      # A key encrypts the secret of one named account or user. A use without the name is denied.
      length(local.key_context[each.key]) == 0 ? {} : {
        Condition = {
          "ForAllValues:StringEquals" = { "kms:EncryptionContextKeys" = local.key_context[each.key] }
          Null                        = { "kms:EncryptionContextKeys" = "false" }
        }
      }
    )]
  })
}

# The grants that a trigger needs follow from the trigger.
resource "aws_iam_role_policy" "queue_trigger" {
  for_each = local.queue_triggers

  role = aws_iam_role.function[each.value.function].id
  name = "trigger-queue-${each.value.source}"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
      Resource = [local.arn_of.queue[each.value.source]]
    }]
  })
}

resource "aws_iam_role_policy" "stream_trigger" {
  for_each = local.stream_triggers

  role = aws_iam_role.function[each.value.function].id
  name = "trigger-stream-${each.value.source}"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = ["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"]
        # A stream is named by the time it was switched on, so the last part of its ARN is left open.
        Resource = ["${local.arn_of.table[each.value.source]}/stream/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"] # a given-up batch goes to the on-failure queue
        Resource = [local.arn_of_stream_dead[each.key]]
      },
    ]
  })
}

resource "aws_iam_role_policy" "logs" {
  for_each = local.functions

  role = aws_iam_role.function[each.key].id
  name = "logs"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
      # Lambda makes a log stream per execution environment and names it itself: all the streams of the function's own group.
      Resource = ["arn:${local.partition}:logs:${var.region}:${local.account_id}:log-group:/aws/lambda/${local.function_names[each.key]}:log-stream:*"]
    }]
  })
}

resource "aws_iam_role_policy" "traces" {
  #checkov:skip=CKV_AWS_290:X-Ray's two write actions know no resources, "*" is the only value AWS accepts
  #checkov:skip=CKV_AWS_355:X-Ray's two write actions know no resources, "*" is the only value AWS accepts
  for_each = { for name, function in local.functions : name => function if var.tracing }

  role = aws_iam_role.function[each.key].id
  name = "traces"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      Resource = ["*"] # these actions know no resources: "*" is the only value AWS accepts
    }]
  })
}

resource "aws_iam_role_policy" "network" {
  #checkov:skip=CKV_AWS_290:Lambda attaches functions to a VPC with EC2 actions that cannot be limited to interfaces not yet made
  #checkov:skip=CKV_AWS_355:Lambda attaches functions to a VPC with EC2 actions that cannot be limited to interfaces not yet made
  for_each = toset(local.egress_functions)

  role = aws_iam_role.function[each.key].id
  name = "network"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
          "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
        ]
        # Lambda checks for exactly these on "*" when it attaches a function to a VPC: the interfaces do not exist yet.
        Resource = ["*"]
      },
      {
        Effect = "Deny"
        Action = [
          "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
          "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
        ]
        # Only the Lambda service has this permission: calls of the function's own code carry its ARN here and are denied.
        Resource = ["*"]
        Condition = {
          ArnEquals = { "lambda:SourceFunctionArn" = [local.arn_of.function[each.key]] }
        }
      },
    ]
  })
}

# Secret settings by name. The key is AWS's own for parameters (alias/aws/ssm), whose policy lets the account's principals decrypt through SSM.
resource "aws_iam_role_policy" "secrets" {
  for_each = { for name, function in local.functions : name => var.secret_parameters[function.base] if can(var.secret_parameters[function.base]) }

  role = aws_iam_role.function[each.key].id
  name = "secrets"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["ssm:GetParameter"]
      Resource = [for parameter in values(each.value) : "arn:${local.partition}:ssm:${var.region}:${local.account_id}:parameter${parameter}"]
    }]
  })
}
