# The alarms. Each names the fault and its section in docs/runbook.md. metrics.yaml describes those on the
# application's own metrics.

locals {
  metrics           = yamldecode(file("${path.module}/metrics.yaml"))
  metrics_namespace = trimsuffix(local.prefix, "-")
  alarm_levels      = { none = [], essential = ["essential"], full = ["essential", "full"] }[var.alarms]

  # Indexes whose items come and go with each signal, event and delivery: few values, many writes.
  busy_indexes = flatten([for table, definition in local.stack.tables : [for index, keys in try(definition.indexes, {}) : "${table}.${index}" if try(keys.busy, false)]])

  # rate(N minutes) in seconds; other schedules are too rare for a metric to miss them.
  schedule_periods_s = {
    for trigger in values(local.schedule_triggers) : trigger.function => tonumber(regex("^rate\\((\\d+) minutes?\\)$", trigger.source)[0]) * 60...
    if can(regex("^rate\\((\\d+) minutes?\\)$", trigger.source))
  }

  # Alarms on one metric. `about` is the section in the runbook.
  aws_alarms = merge(
    {
      for name, queue in local.queues : "OldestMessage-${name}" => {
        level      = "essential", about = "OldestMessage", says = "the oldest message in ${name} waits too long"
        namespace  = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", stat = "Maximum", dimensions = { QueueName = local.queue_names[name] }
        comparison = "GreaterThanThreshold", threshold = can(queue.for_each) ? var.max_order_age_s : 300, period_s = 60, of = 2, missing = "notBreaching"
      }
    },
    {
      for name in concat(values(local.dead_names), values(local.stream_dead_names)) : "DeadLetters-${trimsuffix(trimprefix(name, local.prefix), ".fifo")}" => {
        level      = "essential", about = "DeadLetters", says = "messages were given up into ${name}"
        namespace  = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", stat = "Maximum", dimensions = { QueueName = name }
        comparison = "GreaterThanThreshold", threshold = 0, period_s = 60, of = 1, missing = "notBreaching"
      }
    },
    {
      for name, full_name in local.function_names : "FunctionErrors-${name}" => {
        level      = "essential", about = "FunctionErrors", says = "${name} fails"
        namespace  = "AWS/Lambda", metric = "Errors", stat = "Sum", dimensions = { FunctionName = full_name }
        comparison = "GreaterThanThreshold", threshold = 3, period_s = 300, of = 1, missing = "notBreaching"
      }
    },
    {
      for name, full_name in local.function_names : "FunctionThrottles-${name}" => {
        level      = "full", about = "FunctionThrottles", says = "${name} is throttled"
        namespace  = "AWS/Lambda", metric = "Throttles", stat = "Sum", dimensions = { FunctionName = full_name }
        comparison = "GreaterThanThreshold", threshold = 0, period_s = 60, of = 2, missing = "notBreaching"
      }
    },
    {
      AccountThrottles = {
        level      = "essential", about = "FunctionThrottles", says = "Lambda throttles in this account"
        namespace  = "AWS/Lambda", metric = "Throttles", stat = "Sum", dimensions = {}
        comparison = "GreaterThanThreshold", threshold = 0, period_s = 60, of = 3, missing = "notBreaching"
      }
      ApiErrors = {
        level      = "essential", about = "ApiErrors", says = "the REST API answers with 5xx, throttled and late requests (503) among them; TradingView sends those alerts again three times, 5 s apart, and then no more"
        namespace  = "AWS/ApiGateway", metric = "5XXError", stat = "Sum", dimensions = { ApiName = aws_api_gateway_rest_api.this.name, Stage = var.stage }
        comparison = "GreaterThanThreshold", threshold = 3, period_s = 300, of = 1, missing = "notBreaching"
      }
      ApiRefusals = {
        level      = "full", about = "ApiRefusals", says = "the REST API refuses very many requests with 4xx, which senders do not repeat"
        namespace  = "AWS/ApiGateway", metric = "4XXError", stat = "Sum", dimensions = { ApiName = aws_api_gateway_rest_api.this.name, Stage = var.stage }
        comparison = "GreaterThanThreshold", threshold = 100, period_s = 300, of = 2, missing = "notBreaching"
      }
      SchedulerFailures = {
        level      = "essential", about = "ScheduleMissed", says = "EventBridge Scheduler cannot start a scheduled function"
        namespace  = "AWS/Scheduler", metric = "TargetErrorCount", stat = "Sum", dimensions = { ScheduleGroup = "default" }
        comparison = "GreaterThanThreshold", threshold = 3, period_s = 300, of = 1, missing = "notBreaching"
      }
      ApiLatency = {
        level      = "full", about = "ApiLatency", says = "the REST API answers slowly; TradingView hangs up after 3 s"
        namespace  = "AWS/ApiGateway", metric = "Latency", stat = "p95", dimensions = { ApiName = aws_api_gateway_rest_api.this.name, Stage = var.stage }
        comparison = "GreaterThanThreshold", threshold = 2800, period_s = 300, of = 2, missing = "notBreaching"
      }
    },
    {
      for name, api in aws_apigatewayv2_api.websocket : "WebsocketErrors-${name}" => {
        level      = "full", about = "WebsocketErrors", says = "the WebSocket API's function fails"
        namespace  = "AWS/ApiGateway", metric = "IntegrationError", stat = "Sum", dimensions = { ApiId = api.id, Stage = local.websocket_stages[name] }
        comparison = "GreaterThanThreshold", threshold = 10, period_s = 300, of = 1, missing = "notBreaching"
      }
    },
    {
      for trigger in values(local.stream_triggers) : "StreamLag-${trigger.function}" => {
        level      = "essential", about = "StreamLag", says = "${trigger.function} lags behind the stream of ${trigger.source}"
        namespace  = "AWS/Lambda", metric = "IteratorAge", stat = "Maximum", dimensions = { FunctionName = local.function_names[trigger.function] }
        comparison = "GreaterThanThreshold", threshold = 60000, period_s = 60, of = 2, missing = "notBreaching"
      }
    },
    {
      for name, periods_s in local.schedule_periods_s : "ScheduleMissed-${name}" => {
        level      = "essential", about = "ScheduleMissed", says = "${name} has not run"
        namespace  = "AWS/Lambda", metric = "Invocations", stat = "Sum", dimensions = { FunctionName = local.function_names[name] }
        comparison = "LessThanThreshold", threshold = 1, period_s = 5 * max(periods_s...), of = 1, missing = "breaching"
      }
    },
    {
      # Schedules call asynchronously, without retries: a dropped event is a missed run.
      for name in distinct(values(local.schedule_triggers)[*].function) : "EventsDropped-${name}" => {
        level      = "full", about = "ScheduleMissed", says = "Lambda has dropped runs of ${name}"
        namespace  = "AWS/Lambda", metric = "AsyncEventsDropped", stat = "Sum", dimensions = { FunctionName = local.function_names[name] }
        comparison = "GreaterThanThreshold", threshold = 3, period_s = 300, of = 1, missing = "notBreaching"
      }
    },
    {
      for pair in flatten([
        for table, definition in local.stack.tables : [for index in keys(try(definition.indexes, {})) : { table = table, index = index }]
        ]) : "IndexThrottles-${pair.table}-${pair.index}" => {
        # An index that cannot keep up delays its table's writes, and the table's own metrics do not show it.
        level      = "full", about = "TableThrottles", says = "DynamoDB throttles writes for the index ${pair.index} of ${pair.table}"
        namespace  = "AWS/DynamoDB", metric = "WriteThrottleEvents", stat = "Sum", dimensions = { TableName = local.table_names[pair.table], GlobalSecondaryIndexName = pair.index }
        comparison = "GreaterThanThreshold", threshold = 0, period_s = 60, of = 3, missing = "notBreaching"
      } if contains(local.busy_indexes, "${pair.table}.${pair.index}")
    },
    {
      for name, full_name in local.topic_names : "TopicFailures-${name}" => {
        level      = "essential", about = "TopicFailures", says = "the topic ${name} could not deliver"
        namespace  = "AWS/SNS", metric = "NumberOfNotificationsFailed", stat = "Sum", dimensions = { TopicName = full_name }
        comparison = "GreaterThanThreshold", threshold = 0, period_s = 300, of = 1, missing = "notBreaching"
      }
    },
  )

  # One alarm per metric of metrics.yaml, per exchange where it is counted by exchange.
  metric_alarms = merge([
    for name, metric in local.metrics : {
      for exchange in(contains(try(metric.by, []), "exchange") ? keys(local.exchanges) : [""]) :
      (exchange == "" ? name : "${name}-${exchange}") => {
        level      = metric.alarm.level, about = name, says = exchange == "" ? metric.does : "${metric.does} (${exchange})"
        namespace  = local.metrics_namespace, metric = name, stat = metric.alarm.when
        dimensions = merge({ service = local.stack.name }, exchange == "" ? {} : { exchange = exchange })
        comparison = "GreaterThanThreshold", threshold = metric.alarm.above, period_s = metric.alarm.period_s, of = metric.alarm.of, missing = "notBreaching"
      }
    } if can(metric.alarm)
  ]...)

  # Alarms on the sum of several metrics.
  sum_alarms = merge(
    {
      for name, full_name in local.table_names : "TableThrottles-${name}" => {
        level     = "full", about = "TableThrottles", says = "DynamoDB throttles the table ${name}"
        threshold = 0, period_s = 60, of = 3, stat = "Sum"
        metrics   = [for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] : { namespace = "AWS/DynamoDB", metric = metric, dimensions = { TableName = full_name } }]
      }
    },
  )

  alarm_actions = [aws_sns_topic.alarms.arn]
  runbook       = "docs/runbook.md"
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in merge(local.aws_alarms, local.metric_alarms) : name => alarm if contains(local.alarm_levels, alarm.level) }

  alarm_name          = "${local.prefix}${each.key}"
  alarm_description   = "${each.value.says}. See ${local.runbook}, ${each.value.about}."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.stat, "p") ? null : each.value.stat
  extended_statistic  = startswith(each.value.stat, "p") ? each.value.stat : null
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = each.value.period_s
  evaluation_periods  = each.value.of
  treat_missing_data  = each.value.missing
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "sum" {
  for_each = { for name, alarm in local.sum_alarms : name => alarm if contains(local.alarm_levels, alarm.level) }

  alarm_name          = "${local.prefix}${each.key}"
  alarm_description   = "${each.value.says}. See ${local.runbook}, ${each.value.about}."
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = each.value.of
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions

  metric_query {
    id          = "total"
    expression  = join(" + ", [for index, _ in each.value.metrics : "FILL(m${index}, 0)"])
    label       = each.value.says
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics
    content {
      id = "m${metric_query.key}"
      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric
        dimensions  = metric_query.value.dimensions
        stat        = each.value.stat
        period      = each.value.period_s
      }
    }
  }
}

# The share of the account's Lambda concurrency in use. Near the limit, API Gateway answers 500 and queues fall behind.
resource "aws_cloudwatch_metric_alarm" "concurrency" {
  count = contains(local.alarm_levels, "full") ? 1 : 0

  alarm_name          = "${local.prefix}Concurrency"
  alarm_description   = "more than 70 percent of the account's Lambda concurrency is in use. See ${local.runbook}, Concurrency."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 70
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions

  metric_query {
    id          = "used"
    expression  = "concurrent / SERVICE_QUOTA(concurrent) * 100"
    label       = "percent of the quota"
    return_data = true
  }
  metric_query {
    id = "concurrent"
    metric {
      namespace   = "AWS/Usage"
      metric_name = "ResourceCount"
      dimensions  = { Service = "Lambda", Type = "Resource", Resource = "ConcurrentExecutions", Class = "None" }
      stat        = "Maximum"
      period      = 60
    }
  }
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch and Budgets cannot publish to a topic under AWS's own key, and an alarm's text holds nothing of anybody's
  name = "${local.prefix}alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsAndBudgets"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = ["sns:Publish"]
        Resource  = ["arn:${local.partition}:sns:${var.region}:${local.account_id}:${local.prefix}alarms"]
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      {
        Sid       = "OnlyWithTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["sns:Publish"]
        Resource  = ["arn:${local.partition}:sns:${var.region}:${local.account_id}:${local.prefix}alarms"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "alarm_email" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

# The whole account's cost: a budget limited to our tags is empty until they are activated as cost allocation tags, and an
# empty budget never warns.
resource "aws_budgets_budget" "monthly" {
  count = var.monthly_budget_usd > 0 ? 1 : 0

  name         = "${local.prefix}monthly"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = { "50" = "ACTUAL", "80" = "ACTUAL", "100" = "ACTUAL" }
    content {
      comparison_operator       = "GREATER_THAN"
      threshold                 = tonumber(notification.key)
      threshold_type            = "PERCENTAGE"
      notification_type         = notification.value
      subscriber_sns_topic_arns = local.alarm_actions
    }
  }
  notification {
    comparison_operator       = "GREATER_THAN"
    threshold                 = 100
    threshold_type            = "PERCENTAGE"
    notification_type         = "FORECASTED"
    subscriber_sns_topic_arns = local.alarm_actions
  }

  depends_on = [aws_sns_topic_policy.alarms]
}
