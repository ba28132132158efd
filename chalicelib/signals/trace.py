"""A signal's whole life, for reading."""

from typing import Any

from chalicelib.orders import store as ledger
from chalicelib.orders.models import Execution, Order
from chalicelib.signals import answers


def trace(item: dict[str, Any], language: str) -> dict[str, Any]:
    """What was received, as what it was read, under which settings, and how it went on each account; `result` is the seed's body."""
    executions, orders = ledger.of_signal(item["signal_id"])
    settled = len(executions) >= len(item["targets"])
    shown = summary(item) | {
        "status": "settled" if settled else "accepted",
        "signal": item["signal"],
        "settings": item["settings"],
        "executions": [_execution(execution) for execution in executions],
        "orders": [order_view(order) for order in orders],
    }
    if settled and item["variant"] in ("paper", "group"):
        shown["result"] = answers.settled(item["signal"], int(item["accounts"]), executions, language)[1]
    return shown


def summary(item: dict[str, Any]) -> dict[str, Any]:
    """A signal in a list."""
    return {name: item[name] for name in ("signal_id", "user_id", "variant", "received_at")} | {"accounts": len(item["targets"])}


def order_view(order: Order) -> dict[str, Any]:
    """An order as the API shows it."""
    return order.model_dump() | {"order_id": order.order_id}


def _execution(execution: Execution) -> dict[str, Any]:
    return execution.model_dump(include={"account_id", "account_name", "exchange", "refused", "cancelled", "not_cancelled", "settled_at"})
