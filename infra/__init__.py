"""What the product runs on.

Its description in `stack.yaml`, the build, the local cloud, and Terraform for AWS.
"""
