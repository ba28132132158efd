"""The answers to senders: the bodies of the seeds, field for field."""

from collections.abc import Sequence
from decimal import Decimal
from time import monotonic, sleep, time
from typing import Any

from chalicelib import config, messages
from chalicelib.http import Answer, Request, preference_wait
from chalicelib.orders import store as order_store
from chalicelib.orders.models import AccountResult, in_one
from chalicelib.signals import group_answers
from chalicelib.signals.accept import Receipt
from chalicelib.trading import Variant

_SIMULATED = ("slippage", "commission", "fill_rate", "total_cost")

DEFAULT_WAIT_S = 2.5
"""TradingView's timeout is 3 s, so an answer that waits for the fill must come earlier."""

_POLLS_S = (0.02, 0.02, 0.03, 0.04, 0.05)
_SYNCHRONOUS = (Variant.GROUP, Variant.PAPER, Variant.MANUAL)


def answer(request: Request, receipt: Receipt) -> Answer:
    """Returns the answer to an accepted signal.

    The seed's body if all accounts have settled in time. Otherwise 202 with the status URL.
    """
    headers = {"X-Signal-Id": receipt.signal_id} | (
        {"Idempotent-Replayed": "true"} if receipt.replayed else {}
    )
    synchronous = receipt.signal.variant in _SYNCHRONOUS
    patience = preference_wait(request.headers, request.query, DEFAULT_WAIT_S) if synchronous else 0.0
    executions = _wait(receipt, until=_front_receipt(request) + patience) if patience else []
    if len(executions) < receipt.accounts or not synchronous:
        return Answer(202, accepted_body(receipt.signal_id), headers)
    status, body = settled_response(
        receipt.signal.model_dump(mode="json"), receipt.strategy_accounts, executions, request.language
    )
    return Answer(status, body, headers)


def accepted_body(signal_id: str) -> dict[str, Any]:
    """Returns the body of a 202."""
    return {
        "status": "accepted",
        "signal_id": signal_id,
        "status_url": f"{config.setting('PUBLIC_URL')}/signals/{signal_id}",
    }


def settled_response(
    signal: dict[str, Any], strategy_accounts: int, executions: Sequence[AccountResult], language: str
) -> tuple[int, dict[str, Any]]:
    """Returns status and body after every account has settled.

    Args:
        signal: The signal as stored.
        strategy_accounts: The number of accounts on the strategy, whether they take part or not.
    """
    if signal["variant"] == Variant.GROUP:
        return group_answers.settled_response(signal, strategy_accounts, executions, language)
    return _paper(executions[0], signal["variant"], language)


def _paper(execution: AccountResult, variant: str, language: str) -> tuple[int, dict[str, Any]]:
    """Returns status and body of the paper seed.

    A manual order has the same body, without `simulation` if the account is not simulated.
    """
    if execution.refused:
        refused = execution.refused[0]
        return refused.status, {
            "error": messages.render(refused.code, refused.values, language),
            "code": refused.code,
        }
    if execution.note:
        return 200, {
            "status": "ok",
            "order": None,
            "code": execution.note,
            "message": messages.render(execution.note, {}, language),
        }
    if not execution.orders:
        return 200, {
            "status": "ok",
            "order": None,
            "cancelled_orders": execution.cancelled,
        }  # a stop without a position to close
    order = in_one(execution.orders)[-1]
    body = {
        "id": order.number,
        "symbol": order.symbol,
        "side": order.side.value,
        "requested_qty": order.quantity,
        "filled_qty": order.filled,
        "requested_price": order.price,
        "exec_price": order.average_price,
        "value": order.value,
        "time": order.created_at.replace(microsecond=0, tzinfo=None),
        "status": order.status.value,
        "source": "manual" if variant == Variant.MANUAL else "webhook",
    }
    shown: dict[str, Any] = {"status": "ok", "order": body}
    if execution.detail and order.filled:
        shown["simulation"] = {name: Decimal(execution.detail[name]) for name in _SIMULATED}
    return 200, shown


def _wait(receipt: Receipt, until: float) -> list[AccountResult]:
    """Returns the signal's results once every account has one, or those that exist at the deadline.

    The deadline is in epoch seconds. A read of a thousand results takes a second. Pauses therefore grow with
    the duration of a read, and the last read begins early enough to end in time.
    """
    deadline = monotonic() + (until - time())
    polls = iter(_POLLS_S)
    while True:
        began = monotonic()
        executions, _ = order_store.results_of(receipt.signal_id)
        look = monotonic() - began
        pause = max(next(polls, _POLLS_S[-1]), 2 * look)
        if len(executions) >= receipt.accounts or monotonic() + pause + 2 * look >= deadline:
            return executions
        sleep(pause)


def _front_receipt(request: Request) -> float:
    """Returns when the request reached the outermost proxy, in epoch seconds.

    The proxy says so in `X-Request-Start: t=...`. A value later than API Gateway's own time is ignored. An
    earlier one can only shorten the wait.
    """
    received = request.received_at.timestamp()
    front_time = request.headers.get("x-request-start", "").removeprefix("t=")
    try:
        return min(received, float(front_time))
    except ValueError:
        return received
