"""One structured log for every function: JSON lines with the signal they concern, and nothing secret.

The code logs identifiers and outcomes, never bodies, headers or credentials; those live masked in the webhook log.
"""

from aws_lambda_powertools import Logger

log = Logger(service="tradehook", log_uncaught_exceptions=True, utc=True)
