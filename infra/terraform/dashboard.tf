# One CloudWatch dashboard, read from the top: are signals coming in, do they become orders, is anything stuck, what fails.

locals {
  own = { for name, _ in local.metrics : name => [local.metrics_namespace, name, "service", local.stack.name] }
  own_by_exchange = {
    for name, metric in local.metrics : name => [for exchange in keys(local.exchanges) : [local.metrics_namespace, name, "service", local.stack.name, "exchange", exchange]]
    if try(metric.by, []) == ["exchange"]
  }

  widgets = [
    { title = "Signals", stat = "Sum", metrics = [local.own.SignalsAccepted, local.own.SignalsRefused, local.own.SignalsSwept] },
    { title = "Orders settled, by exchange", stat = "Sum", metrics = local.own_by_exchange.OrdersSettled },
    {
      title = "Signal to order, ms", stat = "p50",
      metrics = flatten([
        for metric in local.own_by_exchange.SignalToOrder : [for stat in ["p50", "p95", "p99"] : { line = concat(metric, [{ stat = stat, label = "${metric[5]} ${stat}" }]) }]
      ])[*].line
    },
    {
      title = "Errors of exchanges, by class", stat = "Sum",
      metrics = flatten([
        for exchange in keys(local.exchanges) : [
          for class in local.metrics.ExchangeErrors.classes : { line = concat(local.own.ExchangeErrors, ["exchange", exchange, "class", class]) }
        ]
      ])[*].line
    },
    {
      title   = "Things that must be zero", stat = "Maximum",
      metrics = [local.own.UnknownOutcomes, local.own.EventsTrimmed, local.own.DeliveryImbalance, local.own.MatchingLag, local.own.SilentStrategies, local.own.TokenFromUnknownAddress, local.own.ExecutionsGivenUp]
    },
    { title = "Oldest message, s", stat = "Maximum", metrics = [for name in values(local.queue_names) : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name]] },
    { title = "Messages waiting", stat = "Maximum", metrics = [for name in values(local.queue_names) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name]] },
    {
      title   = "Dead letters", stat = "Maximum",
      metrics = [for name in concat(values(local.dead_names), values(local.stream_dead_names)) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name]]
    },
    { title = "Function errors", stat = "Sum", metrics = [for name in values(local.function_names) : ["AWS/Lambda", "Errors", "FunctionName", name]] },
    { title = "Function throttles", stat = "Sum", metrics = [for name in values(local.function_names) : ["AWS/Lambda", "Throttles", "FunctionName", name]] },
    { title = "Function duration, p95, ms", stat = "p95", metrics = [for name in values(local.function_names) : ["AWS/Lambda", "Duration", "FunctionName", name]] },
    { title = "Functions at once", stat = "Maximum", metrics = [for name in values(local.function_names) : ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", name]] },
    {
      title   = "REST API", stat = "Sum",
      metrics = [for metric in ["Count", "4XXError", "5XXError"] : ["AWS/ApiGateway", metric, "ApiName", aws_api_gateway_rest_api.this.name, "Stage", var.stage]]
    },
    {
      title = "WebSocket API", stat = "Sum",
      metrics = flatten([
        for name, api in aws_apigatewayv2_api.websocket : [
          for metric in ["ConnectCount", "MessageCount", "ClientError", "IntegrationError"] : { line = ["AWS/ApiGateway", metric, "ApiId", api.id, "Stage", local.websocket_stages[name]] }
        ]
      ])[*].line
    },
    {
      title = "Table throttles", stat = "Sum",
      metrics = flatten([
        for name in values(local.table_names) : [for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] : { line = ["AWS/DynamoDB", metric, "TableName", name] }]
      ])[*].line
    },
    { title = "Stream lag, ms", stat = "Maximum", metrics = [for trigger in values(local.stream_triggers) : ["AWS/Lambda", "IteratorAge", "FunctionName", local.function_names[trigger.function]]] },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = trimsuffix(local.prefix, "-")
  dashboard_body = jsonencode({
    widgets = [
      for index, widget in local.widgets : {
        type   = "metric"
        x      = 8 * (index % 3)
        y      = 6 * floor(index / 3)
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          region  = var.region
          view    = "timeSeries"
          stat    = widget.stat
          period  = 60
          metrics = widget.metrics
        }
      } if length(widget.metrics) > 0
    ]
  })
}
