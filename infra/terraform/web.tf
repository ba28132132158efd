# The dashboard: static files in S3, served by CloudFront under /dashboard; everything else under its name goes to the APIs, so that
# the page and its requests have one origin. Senders use the API's own domain: behind CloudFront their address would be CloudFront's.

locals {
  web_dir = abspath(coalesce(var.web_dir, "${path.module}/../../web"))
  web_types = {
    html = "text/html; charset=utf-8", css = "text/css; charset=utf-8", js = "text/javascript; charset=utf-8", mjs = "text/javascript; charset=utf-8",
    json = "application/json", svg = "image/svg+xml", png = "image/png", ico = "image/x-icon", webmanifest = "application/manifest+json", woff2 = "font/woff2",
  }
  web_files = var.dashboard ? {
    for file in fileset(local.web_dir, "**") : file => local.web_types[lower(reverse(split(".", file))[0])]
    if contains(keys(local.web_types), lower(reverse(split(".", file))[0]))
  } : {}

  # CloudFront's managed policies have fixed ids.
  cache_nothing             = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad" # CachingDisabled
  cache_files               = "658327ea-f89d-4fab-a63d-7e88639e58f6" # CachingOptimized
  forward_all_but_host      = "b689b0a8-53d0-40ab-baf2-68738e2966ac" # AllViewerExceptHostHeader
  api_gateway_host          = "${aws_api_gateway_rest_api.this.id}.execute-api.${var.region}.${local.dns_suffix}"
  websocket_gateway_hosts   = { for name, _ in local.stack.websockets : name => "${aws_apigatewayv2_api.websocket[name].id}.execute-api.${var.region}.${local.dns_suffix}" }
  dashboard_url             = !var.dashboard ? null : "https://${coalesce(local.dashboard_domain, aws_cloudfront_distribution.dashboard[0].domain_name)}/dashboard"
  dashboard_allowed_methods = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
}

resource "aws_s3_bucket" "dashboard" {
  #checkov:skip=CKV_AWS_18:No access log - CloudFront alone reads the bucket, and its files are public
  #checkov:skip=CKV_AWS_144:No replication - the files are in the repository
  #checkov:skip=CKV_AWS_145:SSE-S3 - the files are public
  #checkov:skip=CKV2_AWS_61:No lifecycle - a handful of files
  #checkov:skip=CKV2_AWS_62:No event notifications - nothing has to happen when a file is uploaded
  count         = var.dashboard ? 1 : 0
  bucket        = "${local.prefix}dashboard-${local.account_id}"
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_public_access_block" "dashboard" {
  count                   = var.dashboard ? 1 : 0
  bucket                  = aws_s3_bucket.dashboard[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "dashboard" {
  count  = var.dashboard ? 1 : 0
  bucket = aws_s3_bucket.dashboard[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_policy" "dashboard" {
  count  = var.dashboard ? 1 : 0
  bucket = aws_s3_bucket.dashboard[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CloudFrontReads"
      Effect    = "Allow"
      Principal = { Service = "cloudfront.amazonaws.com" }
      Action    = ["s3:GetObject"]
      # Every file of the dashboard, to this one distribution.
      Resource  = ["arn:${local.partition}:s3:::${local.prefix}dashboard-${local.account_id}/*"]
      Condition = { StringEquals = { "aws:SourceArn" = aws_cloudfront_distribution.dashboard[0].arn } }
      }, {
      Sid       = "OnlyWithTLS"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:*"]
      # The bucket and every file in it.
      Resource  = ["arn:${local.partition}:s3:::${local.prefix}dashboard-${local.account_id}", "arn:${local.partition}:s3:::${local.prefix}dashboard-${local.account_id}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
  depends_on = [aws_s3_bucket_public_access_block.dashboard]
}

resource "aws_s3_object" "dashboard" {
  #checkov:skip=CKV_AWS_186:SSE-S3 - the files are public
  for_each = local.web_files

  bucket        = aws_s3_bucket.dashboard[0].id
  key           = "dashboard/${each.key}"
  source        = "${local.web_dir}/${each.key}"
  source_hash   = filesha256("${local.web_dir}/${each.key}")
  content_type  = each.value
  cache_control = "no-cache" # revalidated each time, answered 304: a deployed change shows at once
}

resource "aws_cloudfront_origin_access_control" "dashboard" {
  count                             = var.dashboard ? 1 : 0
  name                              = "${local.prefix}dashboard"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_function" "dashboard_index" {
  count   = var.dashboard ? 1 : 0
  name    = "${local.prefix}dashboard-index"
  runtime = "cloudfront-js-2.0"
  comment = "S3 knows no index pages below the root"
  publish = true
  code    = <<-JS
    function handler(event) {
      var request = event.request;
      if (request.uri === '/dashboard/') { // the page's relative addresses are read from /dashboard
        return { statusCode: 301, statusDescription: 'Moved Permanently', headers: { location: { value: '/dashboard' } } };
      }
      if (request.uri === '/dashboard') {
        request.uri = '/dashboard/index.html';
      }
      return request;
    }
  JS
}

locals {
  # As chalicelib/dashboard.py has it: everything from here and nothing inline; the WebSocket may live under a name of its own.
  dashboard_policy = join("; ", [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "manifest-src 'self'",
    "connect-src 'self' ${join(" ", [for url in values(local.websocket_urls) : regex("^wss://[^/]+", url)])}",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
  ])
}

resource "aws_cloudfront_response_headers_policy" "dashboard" {
  #checkov:skip=CKV_AWS_259:Strict transport security is set; its effect on other subdomains is for the domain's owner to decide
  count = var.dashboard ? 1 : 0
  name  = "${local.prefix}dashboard"

  security_headers_config {
    content_security_policy {
      content_security_policy = local.dashboard_policy
      override                = true
    }
    content_type_options {
      override = true
    }
    frame_options {
      frame_option = "DENY"
      override     = true
    }
    referrer_policy {
      referrer_policy = "no-referrer" # a token in a URL must not travel on
      override        = true
    }
    strict_transport_security {
      access_control_max_age_sec = 63072000
      include_subdomains         = false
      preload                    = false
      override                   = true
    }
  }
}

resource "aws_cloudfront_distribution" "dashboard" {
  #checkov:skip=CKV_AWS_68:The firewall stands at the REST API, which every request that is not a static file reaches
  #checkov:skip=CKV2_AWS_47:The firewall stands at the REST API, which every request that is not a static file reaches
  #checkov:skip=CKV_AWS_86:No access log - it would hold query strings, and WebSocket tokens travel in those
  #checkov:skip=CKV_AWS_310:No second origin - the APIs are one region's, and static files are S3's own redundancy
  #checkov:skip=CKV_AWS_374:No country is shut out: exchanges and traders are everywhere
  #checkov:skip=CKV_AWS_174:TLS 1.2 with a domain of our own; without one CloudFront's own certificate fixes the policy
  #checkov:skip=CKV2_AWS_42:A certificate of our own where there is a domain of our own
  #checkov:skip=CKV_AWS_305:No root object - the root belongs to the API
  #checkov:skip=CKV2_AWS_32:The headers policy goes with the static files; the API sets its own headers
  count = var.dashboard ? 1 : 0

  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  comment         = "${local.prefix}dashboard"
  price_class     = "PriceClass_100"
  aliases         = local.dashboard_domain == null ? [] : [local.dashboard_domain]

  origin {
    origin_id                = "files"
    domain_name              = aws_s3_bucket.dashboard[0].bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.dashboard[0].id
  }

  origin {
    origin_id   = "api"
    domain_name = local.api_gateway_host
    origin_path = "/${var.stage}"
    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }

  dynamic "origin" {
    for_each = local.websocket_gateway_hosts
    content {
      origin_id   = "websocket-${origin.key}"
      domain_name = origin.value
      custom_origin_config {
        http_port              = 80
        https_port             = 443
        origin_protocol_policy = "https-only"
        origin_ssl_protocols   = ["TLSv1.2"]
      }
    }
  }

  default_cache_behavior {
    target_origin_id         = "api"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = local.dashboard_allowed_methods
    cached_methods           = ["GET", "HEAD"]
    cache_policy_id          = local.cache_nothing
    origin_request_policy_id = local.forward_all_but_host
  }

  dynamic "ordered_cache_behavior" {
    for_each = ["/dashboard", "/dashboard/*"]
    content {
      path_pattern               = ordered_cache_behavior.value
      target_origin_id           = "files"
      viewer_protocol_policy     = "redirect-to-https"
      allowed_methods            = ["GET", "HEAD"]
      cached_methods             = ["GET", "HEAD"]
      cache_policy_id            = local.cache_files
      response_headers_policy_id = aws_cloudfront_response_headers_policy.dashboard[0].id
      compress                   = true
      function_association {
        event_type   = "viewer-request"
        function_arn = aws_cloudfront_function.dashboard_index[0].arn
      }
    }
  }

  dynamic "ordered_cache_behavior" {
    for_each = local.stack.websockets
    content {
      path_pattern             = ordered_cache_behavior.value.path
      target_origin_id         = "websocket-${ordered_cache_behavior.key}"
      viewer_protocol_policy   = "https-only"
      allowed_methods          = ["GET", "HEAD"]
      cached_methods           = ["GET", "HEAD"]
      cache_policy_id          = local.cache_nothing
      origin_request_policy_id = local.forward_all_but_host
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = local.dashboard_domain == null
    acm_certificate_arn            = local.dashboard_domain == null ? null : aws_acm_certificate_validation.dashboard[0].certificate_arn
    ssl_support_method             = local.dashboard_domain == null ? null : "sni-only"
    minimum_protocol_version       = local.dashboard_domain == null ? "TLSv1" : "TLSv1.2_2021"
  }
}
