# A fixed address for calls to the exchanges, for keys that are bound to an address. Only the functions that call exchanges
# run in the VPC; the others keep Lambda's own network, which is free.

locals {
  egress_functions = !var.fixed_egress ? [] : sort([
    for name, function in local.functions : name
    if length(try(local.exchanges[function.exchange].ccxt, [])) > 0 || contains(var.egress_functions, function.base)
  ])
  egress_zones = var.fixed_egress ? [for letter in var.egress_zones : "${var.region}${letter}"] : []
}

resource "aws_vpc" "egress" {
  #checkov:skip=CKV2_AWS_11:No flow logs - the VPC holds outbound functions only, and each of their calls is in the order ledger
  count                = var.fixed_egress ? 1 : 0
  cidr_block           = var.egress_cidr
  enable_dns_hostnames = true
  tags                 = { Name = "${local.prefix}egress" }
}

resource "aws_default_security_group" "egress" {
  count  = var.fixed_egress ? 1 : 0
  vpc_id = aws_vpc.egress[0].id # without rules: nothing gets in or out by accident
}

resource "aws_internet_gateway" "egress" {
  count  = var.fixed_egress ? 1 : 0
  vpc_id = aws_vpc.egress[0].id
}

resource "aws_subnet" "public" {
  count             = length(local.egress_zones)
  vpc_id            = aws_vpc.egress[0].id
  cidr_block        = cidrsubnet(var.egress_cidr, 4, count.index)
  availability_zone = local.egress_zones[count.index]
  tags              = { Name = "${local.prefix}public-${count.index}" }
}

resource "aws_subnet" "private" {
  count             = length(local.egress_zones)
  vpc_id            = aws_vpc.egress[0].id
  cidr_block        = cidrsubnet(var.egress_cidr, 4, 8 + count.index)
  availability_zone = local.egress_zones[count.index]
  tags              = { Name = "${local.prefix}private-${count.index}" }
}

# One NAT gateway and address per zone: two zones cost twice and survive the loss of one.
resource "aws_eip" "nat" {
  #checkov:skip=CKV2_AWS_19:Attached to the NAT gateway below
  count  = length(local.egress_zones)
  domain = "vpc"
  tags   = { Name = "${local.prefix}egress-${count.index}" }
}

resource "aws_nat_gateway" "egress" {
  count         = length(local.egress_zones)
  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.public[count.index].id
  depends_on    = [aws_internet_gateway.egress]
}

resource "aws_route_table" "public" {
  count  = var.fixed_egress ? 1 : 0
  vpc_id = aws_vpc.egress[0].id
}

resource "aws_route" "internet" {
  count                  = var.fixed_egress ? 1 : 0
  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.egress[0].id
}

resource "aws_route_table_association" "public" {
  count          = length(local.egress_zones)
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_route_table" "private" {
  count  = length(local.egress_zones)
  vpc_id = aws_vpc.egress[0].id
}

resource "aws_route" "nat" {
  count                  = length(local.egress_zones)
  route_table_id         = aws_route_table.private[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.egress[count.index].id
}

resource "aws_route_table_association" "private" {
  count          = length(local.egress_zones)
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private[count.index].id
}

# The tables are reached past the NAT gateway, which bills by the byte; this endpoint is free.
resource "aws_vpc_endpoint" "dynamodb" {
  count             = var.fixed_egress ? 1 : 0
  vpc_id            = aws_vpc.egress[0].id
  service_name      = "com.amazonaws.${var.region}.dynamodb"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = aws_route_table.private[*].id
}

resource "aws_security_group" "functions" {
  count       = var.fixed_egress ? 1 : 0
  name        = "${local.prefix}functions"
  description = "Functions that call exchanges: out by HTTPS, nothing in"
  vpc_id      = aws_vpc.egress[0].id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  count             = var.fixed_egress ? 1 : 0
  security_group_id = aws_security_group.functions[0].id
  description       = "HTTPS, to exchanges and AWS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}
