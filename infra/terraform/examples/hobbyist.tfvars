# One person, a few strategies, cents a day: no fixed monthly cost but the KMS key, a few alarms and X-Ray's free tier.
stage  = "home"
region = "ap-northeast-1"

throttle         = { rate = 20, burst = 40 }
webhook_throttle = { rate = 100, burst = 200 }

# A new account's Lambda quota is 10, which the queues' consumers alone can use up. Ask for 1,000 first (docs/deploy-aws.md): free, some hours.
lambda_quota        = 1000
reserve_concurrency = false

# Nothing that costs by the month.
waf          = false
dashboard    = true # S3 and CloudFront bill by use
fixed_egress = false

tracing            = true # the first 100,000 traces of a month are free
log_retention_days = 14
alarms             = "essential"
alarm_emails       = ["me@example.com"]
monthly_budget_usd = 10
