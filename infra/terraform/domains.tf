# Names of our own: one for the REST API, one for the WebSocket API (AWS keeps the two on separate domains), one for the dashboard.
# All lie in one Route 53 zone, which proves the certificates and holds the addresses.

locals {
  regional_domains = { for kind, domain in { api = var.api_domain, websocket = var.websocket_domain } : kind => domain if domain != null }
  dashboard_domain = var.dashboard ? var.dashboard_domain : null
}

resource "aws_acm_certificate" "regional" {
  for_each = local.regional_domains

  domain_name       = each.value
  validation_method = "DNS"
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "regional_validation" {
  for_each = local.regional_domains

  zone_id         = var.hosted_zone_id
  name            = tolist(aws_acm_certificate.regional[each.key].domain_validation_options)[0].resource_record_name
  type            = tolist(aws_acm_certificate.regional[each.key].domain_validation_options)[0].resource_record_type
  records         = [tolist(aws_acm_certificate.regional[each.key].domain_validation_options)[0].resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "regional" {
  for_each = local.regional_domains

  certificate_arn         = aws_acm_certificate.regional[each.key].arn
  validation_record_fqdns = [aws_route53_record.regional_validation[each.key].fqdn]
}

resource "aws_api_gateway_domain_name" "api" {
  count = var.api_domain == null ? 0 : 1

  domain_name              = var.api_domain
  regional_certificate_arn = aws_acm_certificate_validation.regional["api"].certificate_arn
  security_policy          = "TLS_1_2"
  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

# Mapped at the root, without the stage: the paths are the ones senders know (/webhook, /personal/..., /xc, /api/webhook).
resource "aws_api_gateway_base_path_mapping" "api" {
  count = var.api_domain == null ? 0 : 1

  api_id      = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  domain_name = aws_api_gateway_domain_name.api[0].domain_name
}

resource "aws_route53_record" "api" {
  count = var.api_domain == null ? 0 : 1

  zone_id = var.hosted_zone_id
  name    = var.api_domain
  type    = "A"
  alias {
    name                   = aws_api_gateway_domain_name.api[0].regional_domain_name
    zone_id                = aws_api_gateway_domain_name.api[0].regional_zone_id
    evaluate_target_health = false
  }
}

resource "aws_apigatewayv2_domain_name" "websocket" {
  count = var.websocket_domain == null ? 0 : 1

  domain_name = var.websocket_domain
  domain_name_configuration {
    certificate_arn = aws_acm_certificate_validation.regional["websocket"].certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "websocket" {
  for_each = var.websocket_domain == null ? {} : local.stack.websockets

  api_id          = aws_apigatewayv2_api.websocket[each.key].id
  domain_name     = aws_apigatewayv2_domain_name.websocket[0].id
  stage           = aws_apigatewayv2_stage.websocket[each.key].id
  api_mapping_key = local.websocket_stages[each.key]
}

resource "aws_route53_record" "websocket" {
  count = var.websocket_domain == null ? 0 : 1

  zone_id = var.hosted_zone_id
  name    = var.websocket_domain
  type    = "A"
  alias {
    name                   = aws_apigatewayv2_domain_name.websocket[0].domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.websocket[0].domain_name_configuration[0].hosted_zone_id
    evaluate_target_health = false
  }
}

# CloudFront takes certificates of us-east-1 only.
resource "aws_acm_certificate" "dashboard" {
  count = local.dashboard_domain == null ? 0 : 1

  region            = "us-east-1"
  domain_name       = local.dashboard_domain
  validation_method = "DNS"
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "dashboard_validation" {
  count = local.dashboard_domain == null ? 0 : 1

  zone_id         = var.hosted_zone_id
  name            = tolist(aws_acm_certificate.dashboard[0].domain_validation_options)[0].resource_record_name
  type            = tolist(aws_acm_certificate.dashboard[0].domain_validation_options)[0].resource_record_type
  records         = [tolist(aws_acm_certificate.dashboard[0].domain_validation_options)[0].resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "dashboard" {
  count = local.dashboard_domain == null ? 0 : 1

  region                  = "us-east-1"
  certificate_arn         = aws_acm_certificate.dashboard[0].arn
  validation_record_fqdns = [aws_route53_record.dashboard_validation[0].fqdn]
}

resource "aws_route53_record" "dashboard" {
  for_each = local.dashboard_domain == null ? toset([]) : toset(["A", "AAAA"])

  zone_id = var.hosted_zone_id
  name    = local.dashboard_domain
  type    = each.key
  alias {
    name                   = aws_cloudfront_distribution.dashboard[0].domain_name
    zone_id                = aws_cloudfront_distribution.dashboard[0].hosted_zone_id
    evaluate_target_health = false
  }
}
