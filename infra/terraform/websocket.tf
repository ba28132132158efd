# The WebSocket APIs. All three routes go to the one function that has `websocket: {name}` in stack.yaml.

locals {
  # The stage is named as the path of stack.yaml (/ws): the URL ends with it with and without a domain of our own.
  websocket_stages = { for name, websocket in local.stack.websockets : name => trimprefix(websocket.path, "/") }
  websocket_urls = {
    for name, stage in local.websocket_stages : name => (
      var.websocket_domain != null ? "wss://${var.websocket_domain}/${stage}" :
      "wss://${aws_apigatewayv2_api.websocket[name].id}.execute-api.${var.region}.${local.dns_suffix}/${stage}"
    )
  }
  websocket_function = { for function_name, websocket in local.websocket_functions : websocket => function_name }
  websocket_routes = merge([
    for name, _ in local.stack.websockets : { for route in ["$connect", "$disconnect", "$default"] : "${name}/${route}" => { websocket = name, route = route } }
  ]...)
}

resource "aws_apigatewayv2_api" "websocket" {
  for_each = local.stack.websockets

  name                       = "${local.prefix}${each.key}"
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.type"
}

resource "aws_apigatewayv2_integration" "websocket" {
  for_each = local.stack.websockets

  api_id             = aws_apigatewayv2_api.websocket[each.key].id
  integration_type   = "AWS_PROXY"
  integration_method = "POST"
  integration_uri    = aws_lambda_function.this[local.websocket_function[each.key]].invoke_arn
}

# No route responses: answers go through the management API, because a handler's return value does not reach the client.
resource "aws_apigatewayv2_route" "websocket" {
  #checkov:skip=CKV_AWS_309:$connect is authorised by the function, which reads the token that the contract puts in the query string
  for_each = local.websocket_routes

  api_id    = aws_apigatewayv2_api.websocket[each.value.websocket].id
  route_key = each.value.route
  target    = "integrations/${aws_apigatewayv2_integration.websocket[each.value.websocket].id}"
}

resource "aws_apigatewayv2_stage" "websocket" {
  #checkov:skip=CKV2_AWS_51:No client certificate - the integration is Lambda, called with AWS's own signature
  for_each = local.stack.websockets

  api_id      = aws_apigatewayv2_api.websocket[each.key].id
  name        = local.websocket_stages[each.key]
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit    = var.throttle.rate
    throttling_burst_limit   = var.throttle.burst
    detailed_metrics_enabled = false # by route, 0.30 dollars each; the API's own are free
    logging_level            = "ERROR"
    data_trace_enabled       = false # it would write messages into the log
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.websocket[each.key].arn
    format = jsonencode({
      at            = "$context.requestTime"
      request_id    = "$context.requestId"
      connection_id = "$context.connectionId"
      ip            = "$context.identity.sourceIp"
      event         = "$context.eventType"
      route         = "$context.routeKey"
      status        = "$context.status"
      error         = "$context.error.messageString"
    })
  }

  depends_on = [aws_apigatewayv2_route.websocket, aws_api_gateway_account.this]
}

resource "aws_cloudwatch_log_group" "websocket" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts with its own key; the format holds no credential
  #checkov:skip=CKV_AWS_338:Retention is the operator's choice (stack.yaml, log_retention_days)
  for_each = local.stack.websockets

  name              = "/aws/apigateway/${local.prefix}${each.key}"
  retention_in_days = local.log_retention_days
}

resource "aws_lambda_permission" "websocket" {
  for_each = local.websocket_function

  function_name = aws_lambda_function.this[each.value].function_name
  statement_id  = "websocket-${each.key}"
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  # The three routes of this one API.
  source_arn = "${aws_apigatewayv2_api.websocket[each.key].execution_arn}/*"
}
