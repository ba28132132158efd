# Every queue and its dead-letter queue. SQS encrypts with its own key (SSE-SQS): no KMS permission to grant, no KMS call to pay.

locals {
  # A message stays invisible for as long as its function may run, plus a margin.
  visibility_s = {
    for name, queue in local.queues : name => queue.visibility_margin_s + max(0, [
      for trigger in values(local.queue_triggers) : local.functions[trigger.function].timeout_s if trigger.source == name
    ]...)
  }

  # Given-up batches of a stream: the message here has their position in the stream, the table has the items.
  stream_dead_names  = { for id, trigger in local.stream_triggers : id => "${local.prefix}${trigger.function}-${trigger.source}-failed" }
  arn_of_stream_dead = { for id, name in local.stream_dead_names : id => "arn:${local.partition}:sqs:${var.region}:${local.account_id}:${name}" }

  # A queue's own policy: its writers outside the account's IAM, and no access without TLS.
  queue_writers = {
    for name, _ in local.queues : name => [for subscription in values(local.subscriptions) : local.arn_of.topic[subscription.topic] if subscription.queue == name]
  }
}

resource "aws_sqs_queue" "dead" {
  for_each = local.queues

  name                      = local.dead_names[each.key]
  fifo_queue                = each.value.fifo ? true : null
  deduplication_scope       = each.value.fifo ? "messageGroup" : null
  fifo_throughput_limit     = each.value.fifo ? "perMessageGroupId" : null
  message_retention_seconds = 14 * 86400 # SQS's longest: time for a person to look
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name       = local.queue_names[each.key]
  fifo_queue = each.value.fifo ? true : null
  # High throughput: deduplication and limits per message group (an account, a stream) and not for the whole queue.
  deduplication_scope        = each.value.fifo ? "messageGroup" : null
  fifo_throughput_limit      = each.value.fifo ? "perMessageGroupId" : null
  delay_seconds              = each.value.delay_s
  visibility_timeout_seconds = local.visibility_s[each.key]
  message_retention_seconds  = each.value.retention_days * 86400
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = local.arn_of.dead[each.key]
    maxReceiveCount     = each.value.receive_limit
  })

  depends_on = [aws_sqs_queue.dead]
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  for_each = local.queues

  queue_url = aws_sqs_queue.dead[each.key].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arn_of.queue[each.key]]
  })
}

resource "aws_sqs_queue" "stream_dead" {
  for_each = local.stream_triggers

  name                      = local.stream_dead_names[each.key]
  message_retention_seconds = 14 * 86400
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = aws_sqs_queue.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OnlyWithTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["sqs:*"]
        Resource  = [local.arn_of.queue[each.key]]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for topic in local.queue_writers[each.key] : {
        Sid       = "FromTopic"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = [local.arn_of.queue[each.key]]
        Condition = { ArnEquals = { "aws:SourceArn" = topic } }
      }]
    )
  })
}

resource "aws_sqs_queue_policy" "dead" {
  for_each = local.queues

  queue_url = aws_sqs_queue.dead[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OnlyWithTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["sqs:*"]
        Resource  = [local.arn_of.dead[each.key]]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      # Messages that SNS cannot deliver wait in the dead-letter queue of the queue's function.
      [for topic in local.queue_writers[each.key] : {
        Sid       = "FromTopic"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = [local.arn_of.dead[each.key]]
        Condition = { ArnEquals = { "aws:SourceArn" = topic } }
      }]
    )
  })
}

resource "aws_sqs_queue_policy" "stream_dead" {
  for_each = local.stream_triggers

  queue_url = aws_sqs_queue.stream_dead[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyWithTLS"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["sqs:*"]
      Resource  = [local.arn_of_stream_dead[each.key]]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
