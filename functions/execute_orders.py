"""Orders of one signal on one account, per message; accounts side by side, each account's messages in order."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import TypeAdapter

from chalicelib import aws
from chalicelib.orders.execute import execute, see_prices
from chalicelib.orders.models import Instruction, PricesSeen
from functions.fifo import each_group

aws.prepare("dynamodb", "sqs")

_MESSAGE: TypeAdapter[Instruction | PricesSeen] = TypeAdapter(Instruction | PricesSeen)


def handler(event: dict[str, Any], _context: LambdaContext) -> Any:
    """Executes a batch of instructions."""
    return each_group(event, lambda record: _handle(record.body))


def _handle(body: str) -> None:
    message = _MESSAGE.validate_json(body)
    if isinstance(message, PricesSeen):
        see_prices(message)
    else:
        execute(message)
