"""By schedule: fetches the exchanges' instruments and their rules."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.exchanges.refresh import refresh


def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """One refresh."""
    return {"venues": refresh()}
