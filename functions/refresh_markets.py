"""Fetches the exchanges' instruments and their rules, by schedule."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.exchanges.refresh import refresh


def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Runs one refresh."""
    return {"venues": refresh()}
