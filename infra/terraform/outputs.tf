output "api_url" {
  description = "Base URL of the REST API; every path below and of the route document is relative to it."
  value       = local.api_url
}

output "routes" {
  description = "Every URL of the REST API, with its methods."
  value       = { for path, item in local.routes.paths : "${local.api_url}${path}" => sort([for method, _ in item : upper(method)]) }
}

output "websocket_urls" {
  description = "URLs of the WebSocket APIs, to which ?token= is appended."
  value       = local.websocket_urls
}

output "dashboard_url" {
  description = "URL of the dashboard; null unless `dashboard` is true."
  value       = local.dashboard_url
}

output "cloudwatch_dashboard_url" {
  description = "The CloudWatch dashboard in AWS's console."
  value       = "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.this.dashboard_name}"
}

output "egress_addresses" {
  description = "The fixed addresses from which exchanges are called; empty unless `fixed_egress` is true."
  value       = aws_eip.nat[*].public_ip
}

output "queue_urls" {
  description = "Every queue's URL by its name in stack.yaml."
  value       = { for name, queue in aws_sqs_queue.this : name => queue.url }
}

output "dead_letter_queue_urls" {
  description = "Every dead-letter queue's URL, by the queue or stream trigger it belongs to; a redrive starts from these."
  value       = merge({ for name, queue in aws_sqs_queue.dead : name => queue.url }, { for name, queue in aws_sqs_queue.stream_dead : name => queue.url })
}

output "table_names" {
  description = "Every table's full name by its name in stack.yaml."
  value       = local.table_names
}

output "function_names" {
  description = "Every function's full name by its name in stack.yaml."
  value       = local.function_names
}

output "key_arns" {
  description = "KMS keys by their name in stack.yaml."
  value       = { for name, key in aws_kms_key.this : name => key.arn }
}

output "alarm_topic_arn" {
  description = "SNS topic of the alarms: subscribe a pager, a chat or an e-mail address."
  value       = aws_sns_topic.alarms.arn
}

output "release" {
  description = "SHA-256 of the deployed artifact and the Python it was built for."
  value       = { sha256 = local.manifest.sha256, python = local.manifest.python }
}
