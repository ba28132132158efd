"""Every minute: queues the status checks of accounts with exchange keys."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.reconciliation.schedule import queue_due_accounts


def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Runs one minute's work."""
    return {"accounts": queue_due_accounts()}
