locals {
  # Terraform reads YAML 1.1, in which a bare N is the truth value "no": it arrives here as false where other readers see a letter.
  attribute_types = { "false" = "N" }
}

# The tables that infra/stack.yaml defines: one per aggregate, billed per request, without capacity to reserve or resize.
resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_119:DynamoDB encrypts with its own key; exchange keys are encrypted by the application with a key of ours
  #checkov:skip=CKV_AWS_28:Point-in-time recovery is a variable, on by default
  #checkov:skip=CKV2_AWS_16:Billed per request, so there is no capacity to scale
  for_each = local.stack.tables

  name                        = local.table_names[each.key]
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.deletion_protection
  hash_key                    = each.value.key.hash[0]
  range_key                   = try(each.value.key.range[0], null)
  stream_enabled              = try(each.value.stream, null) != null
  stream_view_type            = try(each.value.stream, null)

  # DynamoDB needs the types of exactly the key attributes of table and indexes.
  dynamic "attribute" {
    for_each = {
      for attribute in concat(
        [each.value.key.hash],
        try([each.value.key.range], []),
        flatten([for index in values(try(each.value.indexes, {})) : concat([{ pair = index.hash }], try([{ pair = index.range }], []))])[*].pair
      ) : attribute[0] => attribute[1]...
    }
    content {
      name = attribute.key
      type = try(local.attribute_types[attribute.value[0]], attribute.value[0])
    }
  }

  dynamic "global_secondary_index" {
    for_each = try(each.value.indexes, {})
    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value.hash[0]
      range_key       = try(global_secondary_index.value.range[0], null)
      projection_type = try(global_secondary_index.value.keys_only, false) ? "KEYS_ONLY" : "ALL"
    }
  }

  dynamic "ttl" {
    for_each = try([each.value.ttl], [])
    content {
      enabled        = true
      attribute_name = ttl.value
    }
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  server_side_encryption {
    enabled = false # "false" means the key that DynamoDB owns, not "none": encryption at rest cannot be switched off
  }
}
