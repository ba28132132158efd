"""Each minute: queues what is to be followed on accounts with exchange keys."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.reconciliation.schedule import queue_due_accounts


def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """One minute."""
    return {"accounts": queue_due_accounts()}
