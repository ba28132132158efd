"""What the product runs on: its description in `stack.yaml`, the build, the local cloud, and Terraform for AWS."""
