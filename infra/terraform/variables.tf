# Region and name

variable "region" {
  description = "AWS region. Close to the exchanges is best: ap-northeast-1 (Tokyo) for Binance and Bybit, ap-east-1 (Hong Kong) for OKX."
  type        = string
  default     = "ap-northeast-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region looks like ap-northeast-1."
  }
}

variable "stage" {
  description = "Name of this deployment; part of every resource's name, and the REST API's stage. Several live side by side in one account."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,15}$", var.stage))
    error_message = "A stage is 2 to 16 small letters and digits, a letter first."
  }
}

variable "tags" {
  description = "Tags for every resource, besides `application` and `stage`."
  type        = map(string)
  default     = {}
}

# Artifact

variable "release_dir" {
  description = "Folder with tradehook.zip, manifest.json and routes.json, as `make build` leaves them. Default: build/lambda of this repository."
  type        = string
  default     = null
}

variable "web_dir" {
  description = "Folder with the dashboard's files. Default: web of this repository."
  type        = string
  default     = null
}

variable "settings" {
  description = "Settings for every function, by name without the TRADEHOOK_ prefix, such as { DEFAULT_USER_ID = \"1\" }. Not for secrets."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^[A-Za-z][A-Za-z0-9_]*$", name))])
    error_message = "Names of settings are letters, digits and underscores."
  }
}

variable "secret_settings" {
  description = "Secret settings by function and name, such as { notify_telegram = { TELEGRAM_BOT_TOKEN = \"...\" } }: only that function gets them. They are in the state and in the environment: secret_parameters is better. Pass them as TF_VAR_secret_settings, not in a file that is committed."
  type        = map(map(string))
  default     = {}
  sensitive   = true
}

variable "secret_parameters" {
  description = "Names of SSM parameters (SecureString) that hold secret settings, by function and setting, such as { notify_telegram = { TELEGRAM_BOT_TOKEN = \"/tradehook/home/telegram-bot-token\" } }: only that function may read them, and the state holds no secret."
  type        = map(map(string))
  default     = {}

  validation {
    condition     = alltrue(flatten([for given in values(var.secret_parameters) : [for name in values(given) : can(regex("^/[A-Za-z0-9_./-]+$", name))]]))
    error_message = "The name of a parameter begins with a slash and has letters, digits, _ . / and - only."
  }
}

# Size

variable "throttle" {
  description = "Requests per second, steady and in a burst, that each API accepts besides webhooks; more are answered 503. The account's own limit is 10000 and 5000 (2500 and 1250 in some regions)."
  type        = object({ rate = number, burst = number })
  default     = { rate = 100, burst = 200 }

  validation {
    condition     = var.throttle.rate >= 1 && var.throttle.burst >= 1
    error_message = "Both limits are at least 1."
  }
}

variable "webhook_throttle" {
  description = "Requests per second, steady and in a burst, that each webhook route accepts, independent of other routes. More are answered 503, which senders retry."
  type        = object({ rate = number, burst = number })
  default     = { rate = 500, burst = 1000 }

  validation {
    condition     = var.webhook_throttle.rate >= 1 && var.webhook_throttle.burst >= 1
    error_message = "Both limits are at least 1."
  }
  validation {
    condition     = var.webhook_throttle.rate >= var.throttle.rate && var.webhook_throttle.burst >= var.throttle.burst
    error_message = "A webhook route gets at least as much as the other routes (throttle): a request there that is turned away may be a lost signal."
  }
}

variable "lambda_quota" {
  description = "The account's Lambda quota (Service Quotas, Concurrent executions): 10 in a new account. The ceilings of the queues' consumers are shares of it, so that they leave room for webhooks."
  type        = number
  default     = 10

  validation {
    condition     = var.lambda_quota >= 10
    error_message = "Lambda gives every account 10 or more."
  }
}

variable "allow_small_quota" {
  description = "Deploy although the consumers can use up the whole quota, so that webhooks are answered 5xx at such times. For trials without real money."
  type        = bool
  default     = false
}

variable "reserve_concurrency" {
  description = "Apply the reserved concurrency of stack.yaml. Leave false in a new account: its quota of 10 cannot be split, and the deployment would fail."
  type        = bool
  default     = false
}

variable "reserved_concurrency" {
  description = "Reserved concurrency by function, such as { receive_signals = 200 }; wins over stack.yaml."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for value in values(var.reserved_concurrency) : value >= 0])
    error_message = "Reserved concurrency is 0 (switched off) or more."
  }
}

# Safety

variable "deletion_protection" {
  description = "Tables, and buckets that hold something, cannot be deleted until this is false and applied. False is for deployments that will be destroyed."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Continuous backup of every table, restorable to any second of the last 35 days."
  type        = bool
  default     = true
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for every role, where the account demands one."
  type        = string
  default     = null
}

variable "manage_api_gateway_account" {
  description = "Set the role with which API Gateway writes logs. There is one per account and region: false where something else sets it."
  type        = bool
  default     = true
}

variable "waf" {
  description = "Firewall in front of the REST API: rate per address, body size, addresses of ill repute. About 9 dollars a month plus 0.60 per million requests."
  type        = bool
  default     = false
}

variable "waf_rate_per_5_minutes" {
  description = "Requests from one address in five minutes before the firewall answers 503. TradingView sends everybody's alerts from four addresses, so do not set it too low."
  type        = number
  default     = 30000

  validation {
    condition     = var.waf_rate_per_5_minutes >= 10
    error_message = "WAF counts from 10 upwards."
  }
}

variable "max_body_bytes" {
  description = "Longest request body that the firewall lets through. The functions have limits of their own (64 KB for a signal); without the firewall API Gateway's is 10 MB. WAF inspects up to 64 KB."
  type        = number
  default     = 65536

  validation {
    condition     = var.max_body_bytes >= 1024 && var.max_body_bytes <= 65536
    error_message = "Between 1024 and 65536 bytes."
  }
}

# Domains

variable "hosted_zone_id" {
  description = "Route 53 zone in which the domains below lie."
  type        = string
  default     = null
}

variable "api_domain" {
  description = "Domain of the REST API, such as hooks.example.com. Null: API Gateway's own address, with the stage in the path."
  type        = string
  default     = null

  validation {
    condition     = var.api_domain == null || var.hosted_zone_id != null
    error_message = "A domain needs hosted_zone_id."
  }
}

variable "websocket_domain" {
  description = "Domain of the WebSocket API, such as live.example.com; it differs from api_domain, because AWS keeps the two kinds apart."
  type        = string
  default     = null

  validation {
    condition     = var.websocket_domain == null || (var.hosted_zone_id != null && try(var.websocket_domain != var.api_domain, true))
    error_message = "A domain needs hosted_zone_id, and the WebSocket API one of its own."
  }
}

variable "dashboard" {
  description = "Serve the dashboard from S3 and CloudFront."
  type        = bool
  default     = false
}

variable "dashboard_domain" {
  description = "Domain of the dashboard, such as desk.example.com. Null: CloudFront's own."
  type        = string
  default     = null

  validation {
    condition     = var.dashboard_domain == null || var.hosted_zone_id != null
    error_message = "A domain needs hosted_zone_id."
  }
}

# Fixed address towards the exchanges

variable "fixed_egress" {
  description = "Send calls to exchanges from fixed addresses (NAT gateways), for API keys that are bound to an address. About 37 dollars a month per zone plus traffic."
  type        = bool
  default     = false
}

variable "egress_functions" {
  description = "Functions that call exchanges with accounts' keys besides those that stack.yaml has per exchange, by their name there."
  type        = set(string)
  default     = []
}

variable "egress_zones" {
  description = "Letters of the availability zones with a NAT gateway and address each: one is cheaper, two survive the loss of a zone. Tokyo has a, c and d."
  type        = list(string)
  default     = ["a"]

  validation {
    condition     = length(var.egress_zones) >= 1 && length(var.egress_zones) <= 8 && length(distinct(var.egress_zones)) == length(var.egress_zones) && alltrue([for zone in var.egress_zones : can(regex("^[a-z]$", zone))])
    error_message = "One to eight different letters, such as [\"a\", \"c\"]."
  }
}

variable "egress_cidr" {
  description = "Addresses of the VPC; /20 or larger."
  type        = string
  default     = "10.64.0.0/20"

  validation {
    condition     = can(cidrsubnet(var.egress_cidr, 4, 15)) && try(tonumber(split("/", var.egress_cidr)[1]) <= 20, false)
    error_message = "An IPv4 block of /20 or larger, such as 10.64.0.0/20."
  }
}

# Monitoring

variable "tracing" {
  description = "X-Ray traces, one from the webhook to the order queue and on. 5 dollars per million traces recorded."
  type        = bool
  default     = true
}

variable "log_level" {
  description = "Least level the functions log: DEBUG, INFO, WARNING or ERROR."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "DEBUG, INFO, WARNING or ERROR."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept; null: stack.yaml's. CloudWatch knows certain values only."
  type        = number
  default     = null

  validation {
    condition     = var.log_retention_days == null || contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], coalesce(var.log_retention_days, 1))
    error_message = "A retention that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 ... days."
  }
}

variable "alarms" {
  description = "none; essential: money and messages; full: also latency, throttling and load of each function and table. 0.10 dollars a month per alarm after the first ten."
  type        = string
  default     = "essential"

  validation {
    condition     = contains(["none", "essential", "full"], var.alarms)
    error_message = "none, essential or full."
  }
}

variable "alarm_emails" {
  description = "E-mail addresses for alarms. Each must confirm its subscription once."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "Each an e-mail address."
  }
}

variable "monthly_budget_usd" {
  description = "Monthly budget of the whole AWS account, with alerts at 50, 80 and 100 percent and when the forecast exceeds it. 0: none."
  type        = number
  default     = 0

  validation {
    condition     = var.monthly_budget_usd >= 0
    error_message = "0 or more dollars."
  }
}

variable "max_order_age_s" {
  description = "Alarm when the oldest order message is older than this."
  type        = number
  default     = 30

  validation {
    condition     = var.max_order_age_s >= 1
    error_message = "At least one second."
  }
}
