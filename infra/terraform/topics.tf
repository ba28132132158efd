resource "aws_sns_topic" "this" {
  #checkov:skip=CKV_AWS_26:Encrypted below with the key that AWS keeps for SNS; the check knows only keys named by ARN
  for_each = local.stack.topics

  name       = local.topic_names[each.key]
  fifo_topic = try(each.value.fifo, false)
  # Throughput per message group (an event stream): the topic's own ceiling is then the account's and not 300 a second.
  fifo_throughput_scope = try(each.value.fifo, false) ? "MessageGroup" : null
  kms_master_key_id     = "alias/aws/sns"
}

resource "aws_sns_topic_policy" "this" {
  for_each = local.stack.topics

  arn = aws_sns_topic.this[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyWithTLS"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["sns:Publish"]
      Resource  = [local.arn_of.topic[each.key]]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

# Raw: the queue's message is the published one, without an envelope.
resource "aws_sns_topic_subscription" "this" {
  for_each = local.subscriptions

  topic_arn            = aws_sns_topic.this[each.value.topic].arn
  protocol             = "sqs"
  endpoint             = local.arn_of.queue[each.value.queue]
  raw_message_delivery = true
  filter_policy        = each.value.filter
  filter_policy_scope  = each.value.filter == null ? null : each.value.filter_scope
  redrive_policy       = jsonencode({ deadLetterTargetArn = local.arn_of.dead[each.value.queue] })

  depends_on = [aws_sqs_queue_policy.this, aws_sqs_queue_policy.dead]
}
