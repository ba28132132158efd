terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25" # the recursion settings and what else is used here are in it
    }
  }

  # State is kept beside this file unless backend.tf says otherwise; backend.tf.example shows remote state with locking.
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ application = local.stack.name, stage = var.stage }, var.tags)
  }
}
