"""`tradehook` on the command line.

The admin API for people, and what needs the deployment's own AWS credentials.
"""
