resource "aws_kms_key" "this" {
  #checkov:skip=CKV_AWS_7:Rotation stands in stack.yaml, which the check does not read; it is on unless written otherwise
  for_each = local.stack.keys

  description             = "${local.stack.name} ${var.stage}: ${try(each.value.does, each.key)}"
  enable_key_rotation     = try(each.value.rotation, true)
  deletion_window_in_days = 30 # KMS's longest: data encrypted with a deleted key is lost

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      # Hands the key to the account's IAM policies, where each function's grant stands. In a key's own policy "*" means this key.
      Sid       = "AccountDecides"
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
      Action    = ["kms:*"]
      Resource  = ["*"] # this key
    }]
  })
}

resource "aws_kms_alias" "this" {
  for_each = local.stack.keys

  name          = "alias/${local.prefix}${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
