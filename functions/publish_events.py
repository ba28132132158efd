"""Publishes new events of the outbox's stream to their event streams and the topic.

An error is raised, so that the records come again. If the stream drops them, the one-minute sweeper finds the
events in the outbox.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib import aws
from chalicelib.events.publish import from_stream, publish

aws.prepare("dynamodb", "sns")


def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Publishes a batch of events."""
    publish(from_stream(event["Records"]))
