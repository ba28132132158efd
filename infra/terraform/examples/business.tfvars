# Many users with live accounts, names of its own, addresses that exchanges can allow-list, and people on call.
stage  = "production"
region = "ap-northeast-1"
tags   = { owner = "trading", cost-center = "1001" }

hosted_zone_id   = "Z0123456789EXAMPLE"
api_domain       = "hooks.example.com"
websocket_domain = "live.example.com"
dashboard        = true
dashboard_domain = "desk.example.com"

throttle             = { rate = 500, burst = 1000 }
webhook_throttle     = { rate = 2000, burst = 4000 }
lambda_quota         = 1000
reserve_concurrency  = true
reserved_concurrency = { receive_signals = 400 }

waf          = true
fixed_egress = true
egress_zones = ["a", "c"]

tracing            = true
log_retention_days = 90
alarms             = "full"
alarm_emails       = ["oncall@example.com"]
max_order_age_s    = 15
monthly_budget_usd = 2000
