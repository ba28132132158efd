"""Adds closed trades of the table's stream to the daily totals of their user.

An error is raised, so that the records come again. If the stream drops them, the one-minute sweep finds the
trades.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib import aws
from chalicelib.journal.add_up import add_up, from_stream

aws.prepare("dynamodb")


def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Adds up a batch of trades."""
    add_up(from_stream(event["Records"]))
