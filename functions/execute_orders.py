"""Orders of one signal on one account, per message; accounts side by side, each account's messages in order."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.orders.execute import execute
from chalicelib.orders.models import Instruction
from functions.fifo import each_group


def handler(event: dict[str, Any], _context: LambdaContext) -> Any:
    """Executes a batch of instructions."""
    return each_group(event, lambda record: execute(Instruction.model_validate_json(record.body)))
