# What starts the functions that no request starts: queues, table streams, schedules.

resource "aws_lambda_event_source_mapping" "queue" {
  for_each = local.queue_triggers

  function_name                      = aws_lambda_function.this[each.value.function].function_name
  event_source_arn                   = aws_sqs_queue.this[each.value.source].arn
  batch_size                         = try(each.value.batch_size, 10)
  maximum_batching_window_in_seconds = try(each.value.window_s, 0) > 0 ? each.value.window_s : null
  function_response_types            = ["ReportBatchItemFailures"]

  dynamic "filter_criteria" {
    for_each = try([each.value.filter], [])
    content {
      filter {
        pattern = jsonencode(filter_criteria.value)
      }
    }
  }

  # The limit is here, not in reserved concurrency: messages above it stay in the queue and use up no receive.
  dynamic "scaling_config" {
    for_each = try([local.consumer_ceilings[each.key]], [])
    content {
      maximum_concurrency = scaling_config.value
    }
  }

  depends_on = [aws_iam_role_policy.queue_trigger]
}

resource "aws_lambda_event_source_mapping" "stream" {
  for_each = local.stream_triggers

  function_name     = aws_lambda_function.this[each.value.function].function_name
  event_source_arn  = aws_dynamodb_table.this[each.value.source].stream_arn
  starting_position = "TRIM_HORIZON" # items written before this mapping existed are read, too
  batch_size        = try(each.value.batch_size, 10)
  # A limited number of tries, halving the batch each time: one bad record is isolated and does not block its shard.
  maximum_retry_attempts             = try(each.value.retries, 10)
  maximum_record_age_in_seconds      = try(each.value.maximum_age_s, 3600)
  maximum_batching_window_in_seconds = try(each.value.window_s, 0) > 0 ? each.value.window_s : null
  bisect_batch_on_function_error     = true
  function_response_types            = ["ReportBatchItemFailures"]

  dynamic "filter_criteria" {
    for_each = try([each.value.filter], [])
    content {
      filter {
        pattern = jsonencode(filter_criteria.value)
      }
    }
  }

  destination_config {
    on_failure {
      destination_arn = local.arn_of_stream_dead[each.key]
    }
  }

  depends_on = [aws_iam_role_policy.stream_trigger, aws_sqs_queue.stream_dead]
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:A schedule holds nothing but its rate; AWS's own key encrypts that
  for_each = local.schedule_triggers

  name                = "${local.prefix}${each.key}"
  description         = local.functions[each.value.function].does
  schedule_expression = each.value.source

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.this[each.value.function].arn
    role_arn = aws_iam_role.schedule[each.key].arn
    # No retries: the next minute's run does the work of a missed one, and retries would only overlap.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }
  }
}

resource "aws_lambda_function_event_invoke_config" "schedule" {
  for_each = toset(values(local.schedule_triggers)[*].function)

  function_name                = aws_lambda_function.this[each.key].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}

resource "aws_iam_role" "schedule" {
  for_each = local.schedule_triggers

  name                 = "${local.prefix}${each.key}-schedule"
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole"]
      Principal = { Service = ["scheduler.amazonaws.com"] }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  for_each = local.schedule_triggers

  role = aws_iam_role.schedule[each.key].id
  name = "invoke"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [local.arn_of.function[each.value.function]]
    }]
  })
}
