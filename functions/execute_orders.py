"""Executes the orders of one signal on one account, per message.

Accounts run concurrently, each account's messages in order.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import TypeAdapter

from chalicelib import aws
from chalicelib.execution import give_up
from chalicelib.execution.cancel_order import cancel_order
from chalicelib.execution.execute_signal import execute_signal, on_price
from chalicelib.execution.flatten import close_all
from chalicelib.execution.keep_deadline import keep_deadline
from chalicelib.orders import queue
from chalicelib.orders.models import (
    CancelOrder,
    Flatten,
    Instruction,
    KeepDeadline,
    PriceUpdate,
    ReconcileAccount,
)
from chalicelib.reconciliation.reconcile_account import reconcile_account
from functions.fifo import each_group

aws.prepare("dynamodb", "sqs")

_MESSAGE: TypeAdapter[queue.Message] = TypeAdapter(queue.Message)
_RESERVE_S = 10  # one exchange call may exceed the wait by its own timeout


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Executes a batch of messages."""
    return each_group(
        event, lambda record: give_up.guard(record, lambda: _handle(record.body, context)), queue.delete
    )


def _handle(body: str, context: LambdaContext) -> None:
    message, seconds = (
        _MESSAGE.validate_json(body),
        context.get_remaining_time_in_millis() / 1000 - _RESERVE_S,
    )
    match message:
        case PriceUpdate():
            on_price(message)
        case ReconcileAccount():
            reconcile_account(message, seconds)
        case CancelOrder():
            cancel_order(message, seconds)
        case KeepDeadline():
            keep_deadline(message, seconds)
        case Flatten():
            close_all(message, seconds)
        case Instruction():
            execute_signal(message, seconds)
