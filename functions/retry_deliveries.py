"""Every minute: queues due deliveries and checks the counters."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.webhooks.delivery import worker


def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Runs one minute's work."""
    worker.run_minute()
