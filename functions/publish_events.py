"""The outbox's stream: each new event gets its place in its streams and goes to the topic.

A fault is raised, so that the stream's records come again; what is lost even so, the minute sweep finds in
the outbox.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib import aws
from chalicelib.events.publish import from_stream, publish

aws.prepare("dynamodb", "sns")


def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Publishes a batch of events."""
    publish(from_stream(event["Records"]))
