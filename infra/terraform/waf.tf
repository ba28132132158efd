# The firewall in front of the REST API. No rule set that reads bodies for attacks on databases or shells: a trading alert is free
# text, and one false refusal is a missed trade.
resource "aws_wafv2_web_acl" "api" {
  count = var.waf ? 1 : 0

  name        = "${local.prefix}api"
  description = "Rate per address, body size, addresses of ill repute, known bad input"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  # WAF inspects 16 KB of a body by default, and treats more as oversized.
  association_config {
    request_body {
      api_gateway {
        default_size_inspection_limit = "KB_64"
      }
    }
  }

  rule {
    name     = "rate-per-address"
    priority = 1
    action {
      block {
        custom_response {
          response_code = 503 # not 429, on which TradingView gives an alert up
          response_header {
            name  = "Retry-After"
            value = "1"
          }
        }
      }
    }
    statement {
      rate_based_statement {
        limit                 = var.waf_rate_per_5_minutes
        evaluation_window_sec = 300
        aggregate_key_type    = "IP"
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${local.prefix}rate-per-address"
      sampled_requests_enabled   = false # samples hold URLs, and those hold tokens
    }
  }

  rule {
    name     = "body-size"
    priority = 2
    action {
      block {
        custom_response {
          response_code = 413
        }
      }
    }
    statement {
      size_constraint_statement {
        comparison_operator = "GT"
        size                = var.max_body_bytes
        field_to_match {
          body {
            oversize_handling = "MATCH" # longer than what WAF inspects: longer than allowed as well
          }
        }
        text_transformation {
          priority = 0
          type     = "NONE"
        }
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${local.prefix}body-size"
      sampled_requests_enabled   = false
    }
  }

  dynamic "rule" {
    for_each = ["AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesKnownBadInputsRuleSet"]
    content {
      name     = rule.value
      priority = 10 + rule.key
      override_action {
        none {}
      }
      statement {
        managed_rule_group_statement {
          name        = rule.value
          vendor_name = "AWS"
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "${local.prefix}${rule.value}"
        sampled_requests_enabled   = false
      }
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "${local.prefix}api"
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "api" {
  count = var.waf ? 1 : 0

  resource_arn = aws_api_gateway_stage.this.arn
  web_acl_arn  = aws_wafv2_web_acl.api[0].arn
}

resource "aws_cloudwatch_log_group" "waf" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts with its own key; query string and credentials are redacted
  #checkov:skip=CKV_AWS_338:Retention is the operator's choice (stack.yaml, log_retention_days)
  count = var.waf ? 1 : 0

  name              = "aws-waf-logs-${local.prefix}api" # WAF demands the prefix
  retention_in_days = local.log_retention_days
}

resource "aws_wafv2_web_acl_logging_configuration" "api" {
  count = var.waf ? 1 : 0

  resource_arn            = aws_wafv2_web_acl.api[0].arn
  log_destination_configs = [aws_cloudwatch_log_group.waf[0].arn]

  redacted_fields {
    query_string {}
  }
  dynamic "redacted_fields" {
    for_each = ["authorization", "x-webhook-token", "cookie"]
    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }

  # The access log already has the permitted requests.
  logging_filter {
    default_behavior = "DROP"
    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"
      condition {
        action_condition {
          action = "BLOCK"
        }
      }
    }
  }
}
