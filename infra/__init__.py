"""What the product runs on.

The stack in `stack.yaml`, the build, the local cloud, and Terraform for AWS.
"""
