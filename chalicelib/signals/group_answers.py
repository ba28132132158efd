"""The bodies of the group seed: single, batch and cancel."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from chalicelib import messages
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.orders.legs import CLOSING_LEG
from chalicelib.orders.models import CLOSE_INCOMPLETE, AccountResult, Order, RefusedLeg, in_one
from chalicelib.trading import Action

_STATUS = {OrderStatus.OPEN: "PENDING", OrderStatus.PENDING_NEW: "PENDING"}
"""The seed's name for a resting order.

Other states use their own names.
"""


def settled_response(
    signal: dict[str, Any], strategy_accounts: int, executions: Sequence[AccountResult], language: str
) -> tuple[int, dict[str, Any]]:
    """Returns status and body after every account has settled.

    200 if at least one account succeeded. Otherwise 422 with the first reason.
    """
    executions = sorted(executions, key=lambda execution: (len(execution.account_id), execution.account_id))
    if signal["action"] == Action.CANCEL_ALL:
        result = _cancel(signal, executions)
    elif signal["batch"]:
        result = _batch(signal, strategy_accounts, executions, language)
    else:
        result = _single(signal, strategy_accounts, executions, language)
    if any(execution.succeeded for execution in executions):
        return 200, {
            "success": True,
            "message": messages.render("webhook_success", {}, language),
            "result": result,
        }
    why = executions[0].refused[0]
    return 422, {
        "success": False,
        "error": messages.render(why.code, why.values, language),
        "code": why.code,
        "result": result,
    }


def _single(
    signal: dict[str, Any], strategy_accounts: int, executions: Sequence[AccountResult], language: str
) -> dict[str, Any]:
    successes = sum(execution.succeeded for execution in executions)
    return {
        "action": "trading_signal",
        "strategy": signal["group_name"],
        "results": [_account(execution) | _outcome(execution, "0", language) for execution in executions],
        "summary": {
            "total_accounts": strategy_accounts,
            "executed_accounts": len(executions),
            "successful_trades": successes,
            "failed_trades": len(executions) - successes,
        },
    }


def _batch(
    signal: dict[str, Any], strategy_accounts: int, executions: Sequence[AccountResult], language: str
) -> dict[str, Any]:
    accounts = [_batch_account(signal, execution, language) for execution in executions]
    return {
        "action": "batch_trading_signal",
        "strategy": signal["group_name"],
        "symbol": signal["symbol"]["base"] + (signal["symbol"]["quote"] or ""),
        "total_orders": len(signal["legs"]),
        "accounts": accounts,
        "summary": {
            "total_accounts": strategy_accounts,
            "executed_accounts": len(executions),
            "successful_accounts": sum(account["failed_orders"] == 0 for account in accounts),
            "total_orders_successful": sum(account["successful_orders"] for account in accounts),
            "total_orders_failed": sum(account["failed_orders"] for account in accounts),
        },
    }


def _batch_account(signal: dict[str, Any], execution: AccountResult, language: str) -> dict[str, Any]:
    orders = []
    for index, leg in enumerate(signal["legs"]):
        outcome = _outcome(execution, str(index), language)
        shown = {name: outcome[name] for name in ("order_id", "success", "error", "code") if name in outcome}
        asked = {
            "order_index": index,
            "requested_price": _number(leg["price"]),
            "requested_qty_per": _number(leg["percent"]),
        }
        orders.append(asked | shown)
    good = sum(order["success"] for order in orders)
    return _account(execution) | {
        "successful_orders": good,
        "failed_orders": len(orders) - good,
        "orders": orders,
    }


def _cancel(signal: dict[str, Any], executions: Sequence[AccountResult]) -> dict[str, Any]:
    accounts = [
        _account(execution)
        | {"cancelled_orders": execution.cancelled, "failed_orders": execution.not_cancelled}
        for execution in executions
    ]
    return {
        "action": "cancel_all_orders",
        "strategy": signal["group_name"],
        "accounts": accounts,
        "summary": {
            "total_accounts": len(accounts),
            "cancelled_orders": sum(account["cancelled_orders"] for account in accounts),
            "failed_orders": sum(account["failed_orders"] for account in accounts),
        },
    }


def _account(execution: AccountResult) -> dict[str, Any]:
    number = execution.account_id
    return {
        "account_id": int(number) if number.isdigit() else number,
        "account_name": execution.account_name,
        "exchange": execution.exchange,
    }


def _outcome(execution: AccountResult, leg: str, language: str) -> dict[str, Any]:
    """Returns the outcome of a leg. For a close, the outcome of the closing order."""
    if execution.note:
        return {
            "success": True,
            "code": execution.note,
            "message": messages.render(execution.note, {}, language),
        }
    orders = {order.leg: order for order in in_one(execution.orders)}
    order = orders.get(leg) or (orders.get(CLOSING_LEG) if leg == "0" else None)
    incomplete = any(each.code == CLOSE_INCOMPLETE and each.leg == leg for each in execution.refused)
    if order is not None and order.status is not OrderStatus.REJECTED and not incomplete:
        return _has_traded(order)
    refused = next((each for each in execution.refused if each.leg == leg), None) or next(
        iter(execution.refused), None
    )
    refused = refused or RefusedLeg(leg=leg, code=order.code if order and order.code else "rejected")
    return {
        "success": False,
        "error": messages.render(refused.code, refused.values, language),
        "code": refused.code,
    }


def _has_traded(order: Order) -> dict[str, Any]:
    return {
        "success": True,
        "order_id": order.exchange_order_id,
        "quantity": order.quantity,
        "order_price": order.price if order.average_price is None else order.average_price,
        "status": _STATUS.get(order.status, order.status.value.upper()),
    }


def _number(text: str | None) -> Any:
    return None if text is None else Decimal(text)
