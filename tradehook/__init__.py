"""The `tradehook` command line.

Commands of the admin API, and commands that need the deployment's own AWS credentials.
"""
