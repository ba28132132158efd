"""Each minute: queues the deliveries that have become due, and checks the books."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.webhooks import worker


def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """One minute."""
    worker.run_minute()
