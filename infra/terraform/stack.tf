# infra/stack.yaml, expanded: one entry per resource, under the name it has in the file. Everything else in this folder iterates
# over these locals and names no function, queue or table of its own.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  stack  = yamldecode(file("${path.module}/../stack.yaml"))
  prefix = "${local.stack.name}-${var.stage}-"

  exchanges = local.stack.exchanges

  # What the placeholders of a `for_each: exchanges` entry stand for. The entry is filled in as JSON text, so that a placeholder is
  # found wherever it stands: the pattern cuts the text into placeholders and what lies between them.
  placeholders      = { for exchange, settings in local.exchanges : exchange => merge(settings, { exchange = exchange }) }
  placeholder_parts = "\\{\\w+\\}|[^{]+|\\{"

  functions = merge([
    for name, function in local.stack.functions : {
      for exchange in(can(function.for_each) ? keys(local.exchanges) : [""]) :
      (exchange == "" ? name : "${name}-${exchange}") => merge(
        { does = name, memory_mb = 512, timeout_s = 30, reserved_concurrency = null, http = false, webhooks = false, websocket = null, environment = {}, triggers = [], grants = [] },
        exchange == "" ? function : jsondecode(join("", [
          for part in regexall(local.placeholder_parts, jsonencode(function)) :
          can(regex("^\\{\\w+\\}$", part)) ? tostring(local.placeholders[exchange][trim(part, "{}")]) : part
        ])),
        { base = name, exchange = exchange }
      )
    }
  ]...)

  queues = merge([
    for name, queue in local.stack.queues : {
      for exchange in(can(queue.for_each) ? keys(local.exchanges) : [""]) :
      (exchange == "" ? name : "${name}-${exchange}") => merge(
        { fifo = false, delay_s = 0, visibility_margin_s = 30, receive_limit = 5, retention_days = 4, base = name },
        queue
      )
    }
  ]...)

  # Grants, one entry per function, kind and resource. A function that is not itself per exchange but names "orders-{exchange}" gets
  # one grant per exchange.
  grant_kinds = ["table", "queue", "topic", "key", "websocket"]
  grant_list = flatten([
    for function_name, function in local.functions : [
      for grant in function.grants : [
        for kind in setintersection(local.grant_kinds, keys(grant)) : [
          for name in(strcontains(grant[kind], "{exchange}")
            ? [for exchange in keys(local.exchanges) : replace(grant[kind], "{exchange}", exchange)]
            : [grant[kind]]) : {
            function = function_name
            kind     = kind
            name     = name
            actions  = grant.actions
          }
        ]
      ]
    ]
  ])
  grants = {
    for id, same in { for grant in local.grant_list : "${grant.function}/${grant.kind}/${grant.name}" => grant... } :
    id => merge(same[0], { actions = distinct(flatten(same[*].actions)) })
  }

  # Triggers, one entry per function and source.
  trigger_list = flatten([
    for function_name, function in local.functions : [
      for number, trigger in function.triggers : [
        for kind in setintersection(["queue", "stream", "schedule"], keys(trigger)) :
        merge(trigger, { function = function_name, number = number, kind = kind, source = trigger[kind] })
      ]
    ]
  ])
  queue_triggers = { for t in local.trigger_list : "${t.function}/${t.source}" => t if t.kind == "queue" }
  # A queue's consumers get their share of a quota of 1,000, for which stack.yaml is written, of the account's own quota: 2 or more, which
  # is Lambda's least, and never more than stack.yaml says.
  consumer_ceilings = {
    for id, t in local.queue_triggers : id => min(
      tonumber(t.maximum_concurrency),
      max(2, floor(tonumber(t.maximum_concurrency) * var.lambda_quota / 1000))
    ) if try(t.maximum_concurrency, null) != null
  }
  # Concurrency without requests: consumers, one run per schedule, four shards of each stream; and what is reserved.
  stream_shards      = 4 # a new on-demand table's partitions
  background_at_once = sum(concat([0], values(local.consumer_ceilings), [length(local.schedule_triggers), local.stream_shards * length(local.stream_triggers)]))
  reserved_in_all    = sum(concat([0], [for name, value in local.reserved_concurrency : value if value != null && !contains(values(local.schedule_triggers)[*].function, name)]))
  quota_margin       = max(5, floor(var.lambda_quota / 4)) # for requests
  stream_triggers    = { for t in local.trigger_list : "${t.function}/${t.source}" => t if t.kind == "stream" }
  schedule_triggers  = { for t in local.trigger_list : "${t.function}-${t.number}" => t if t.kind == "schedule" }

  http_functions      = { for name, function in local.functions : name => function if function.http }
  websocket_functions = { for name, function in local.functions : name => function.websocket if function.websocket != null }

  subscriptions = merge([
    for topic_name, topic in local.stack.topics : {
      for subscription in try(topic.subscriptions, []) :
      "${topic_name}/${subscription.queue}" => {
        topic        = topic_name
        queue        = subscription.queue
        filter       = try(jsonencode(subscription.filter), null)
        filter_scope = try(subscription.filter_body, false) ? "MessageBody" : "MessageAttributes"
      }
    }
  ]...)

  # The names are ours, so their ARNs are known before anything exists. Policies are written with these and not with the resources'
  # attributes: a plan then shows every permission in full, and can be compared with stack.yaml grant by grant.
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix

  function_names = { for name, _ in local.functions : name => "${local.prefix}${name}" }
  queue_names    = { for name, queue in local.queues : name => "${local.prefix}${name}${queue.fifo ? ".fifo" : ""}" }
  dead_names     = { for name, queue in local.queues : name => "${local.prefix}${name}-dead${queue.fifo ? ".fifo" : ""}" }
  table_names    = { for name, _ in local.stack.tables : name => "${local.prefix}${name}" }
  topic_names    = { for name, topic in local.stack.topics : name => "${local.prefix}${name}${try(topic.fifo, false) ? ".fifo" : ""}" }

  arn_of = {
    function = { for name, full in local.function_names : name => "arn:${local.partition}:lambda:${var.region}:${local.account_id}:function:${full}" }
    queue    = { for name, full in local.queue_names : name => "arn:${local.partition}:sqs:${var.region}:${local.account_id}:${full}" }
    dead     = { for name, full in local.dead_names : name => "arn:${local.partition}:sqs:${var.region}:${local.account_id}:${full}" }
    table    = { for name, full in local.table_names : name => "arn:${local.partition}:dynamodb:${var.region}:${local.account_id}:table/${full}" }
    topic    = { for name, full in local.topic_names : name => "arn:${local.partition}:sns:${var.region}:${local.account_id}:${full}" }
  }
}

locals {
  unknown_settings = sort(setsubtract(
    concat([for name in keys(var.settings) : upper(name)], flatten([for given in concat(values(nonsensitive(var.secret_settings)), values(var.secret_parameters)) : [for name in keys(given) : upper(name)]])),
    keys(local.stack.settings)
  ))
  misplaced_secrets = sort([for name in keys(var.settings) : upper(name) if try(local.stack.settings[upper(name)].secret, false)])
}

# A mistake in stack.yaml stops the plan with a sentence. The expansion above alone would silently drop an entry.
resource "terraform_data" "stack_is_sound" {
  lifecycle {
    precondition {
      condition     = alltrue([for function in values(local.functions) : alltrue([for grant in function.grants : length(setintersection(local.grant_kinds, keys(grant))) == 1])])
      error_message = "stack.yaml: every grant names exactly one table, queue, topic, key or websocket."
    }
    precondition {
      condition = alltrue([for grant in local.grant_list : contains(keys({
        table     = local.stack.tables
        queue     = local.queues
        topic     = local.stack.topics
        key       = local.stack.keys
        websocket = local.stack.websockets
      }[grant.kind]), grant.name)])
      error_message = "stack.yaml: a grant names a resource that the file does not describe."
    }
    precondition {
      condition     = alltrue([for function in values(local.functions) : alltrue([for trigger in function.triggers : length(setintersection(["queue", "stream", "schedule"], keys(trigger))) == 1])])
      error_message = "stack.yaml: every trigger names exactly one queue, stream or schedule."
    }
    precondition {
      condition     = length(concat(keys(local.queue_triggers), keys(local.stream_triggers), keys(local.schedule_triggers))) == length(local.trigger_list)
      error_message = "stack.yaml: a function has the same trigger twice."
    }
    precondition {
      condition     = alltrue([for t in values(local.queue_triggers) : contains(keys(local.queues), t.source)])
      error_message = "stack.yaml: a trigger names a queue that the file does not describe."
    }
    precondition {
      condition     = alltrue([for t in values(local.stream_triggers) : try(local.stack.tables[t.source].stream, null) != null])
      error_message = "stack.yaml: a trigger reads the stream of a table that has none."
    }
    precondition {
      condition     = alltrue([for t in values(local.queue_triggers) : tonumber(try(t.maximum_concurrency, 2)) >= 2 && tonumber(try(t.maximum_concurrency, 2)) <= 1000])
      error_message = "stack.yaml: maximum_concurrency of a queue trigger lies between 2 and 1000 (Lambda's limits)."
    }
    precondition {
      condition     = length(setsubtract(concat(tolist(var.egress_functions), keys(var.reserved_concurrency), keys(nonsensitive(var.secret_settings)), keys(var.secret_parameters)), concat(keys(local.stack.functions), keys(local.functions)))) == 0
      error_message = "egress_functions, reserved_concurrency, secret_settings or secret_parameters names a function that stack.yaml does not describe."
    }
    precondition {
      condition     = var.allow_small_quota || local.background_at_once + local.reserved_in_all <= var.lambda_quota - local.quota_margin
      error_message = "${local.background_at_once} runs of consumers and ${local.reserved_in_all} reserved ones do not fit into a Lambda quota of ${var.lambda_quota} less ${local.quota_margin} for requests: webhooks would be answered 5xx and alerts lost. Ask AWS for more (Service Quotas, Lambda, Concurrent executions; free), then set lambda_quota."
    }
    precondition {
      condition     = length(local.unknown_settings) == 0
      error_message = "settings or secret_settings names what no function reads: ${join(", ", local.unknown_settings)}. stack.yaml lists the names under `settings`."
    }
    precondition {
      condition     = length(local.misplaced_secrets) == 0
      error_message = "A secret belongs into secret_parameters or secret_settings, where one function gets it, not into settings: ${join(", ", local.misplaced_secrets)}."
    }
    precondition {
      condition     = alltrue([for name in values(local.function_names) : length(name) <= 64])
      error_message = "A function's name with its prefix is longer than Lambda's 64 characters: shorten `stage`."
    }
  }
}
