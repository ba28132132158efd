"""Reading signals, orders and the webhook log back."""

from collections.abc import Callable
from typing import Any

from chalicelib import aws, paging
from chalicelib.errors import NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.orders import store as ledger
from chalicelib.signals import store, trace
from chalicelib.users.access import caller


def get_signal(request: Request) -> Answer:
    """One signal, whole."""
    who = caller(request)
    item = store.get(request.path["signal_id"])
    if item is None:
        raise NotFound("not_found")
    who.require_owner(item["user_id"])
    return Answer(200, trace.trace(item, request.language))


def list_signals(request: Request) -> Answer:
    """A user's signals, newest first."""
    return _of_user(request, "signals", trace.summary)


def list_orders(request: Request) -> Answer:
    """A user's orders, newest first."""
    return _of_user(request, "orders", lambda item: trace.order_view(ledger.order_of(item)))


def list_logs(request: Request) -> Answer:
    """Every request that came in for a user, refused ones included, newest first. Admins see those of nobody as `unknown`."""
    user_id, page = _whose(request), paging.asked(request)
    return paging.answer("webhook_logs", "#owner = :owner", page, _log_view, owner=user_id, newest_first=True)


def _of_user(request: Request, table: str, view: Callable[[aws.Item], Any]) -> Answer:
    user_id, page = _whose(request), paging.asked(request)
    return paging.answer(table, "user_id = :user", page, view, index="by_user", user=user_id, newest_first=True)


def _log_view(item: aws.Item) -> aws.Item:
    return {name: value for name, value in item.items() if name not in ("at", "forget_at")}


def _whose(request: Request) -> str:
    """The user whose records are wanted: the caller, or for an admin `?user_id=`."""
    who = caller(request)
    wanted = request.query.get("user_id", who.user_id)
    if wanted != who.user_id:
        who.require_admin()
    return wanted


READING = [
    Route("GET", "/signals", list_signals),
    Route("GET", "/signals/{signal_id}", get_signal),
    Route("GET", "/orders", list_orders),
    Route("GET", "/webhook-logs", list_logs),
]
