"""Events to the WebSocket connections they concern, and the first message of a new connection."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.realtime.push import push
from functions.fifo import each_group


def handler(event: dict[str, Any], _context: LambdaContext) -> Any:
    """Pushes a batch of messages."""
    return each_group(event, lambda record: push(record.body))
