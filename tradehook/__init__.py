"""`tradehook` on the command line: the admin API for people, and what needs the deployment's own AWS credentials."""
