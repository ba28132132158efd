"""Routes that read signals, orders and the webhook log."""

from typing import Any

from chalicelib import aws, inputs, paging, symbols
from chalicelib.errors import NotFound
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.http import Answer, Request, Route
from chalicelib.orders import store as order_store
from chalicelib.orders.models import Order
from chalicelib.signals import store, trace
from chalicelib.trading import Variant
from chalicelib.users.access import Caller, caller
from chalicelib.users.models import Role

OUTCOMES = ("accepted", "refused", "replayed")
"""The outcomes of an inbound request."""

_LONGEST = 128
_EARLIEST, _LATEST = "0", "9"
_UNKNOWN = "unknown"  # the owner of requests without an authenticated user


def get_signal(request: Request) -> Answer:
    """Returns one signal with its whole history: request, plan, executions, events, deliveries."""
    who = caller(request)
    signal_id = request.path["signal_id"]
    item = store.get(signal_id) if len(signal_id) <= _LONGEST else None
    if item is None:
        raise NotFound("not_found")
    who.require_owner(item["user_id"])
    return Answer(200, trace.trace(item, request.language, for_admin=who.role is Role.ADMIN))


def list_signals(request: Request) -> Answer:
    """Lists a user's signals, newest first.

    Filters: `variant`, `symbol`, `group_name`, `outcome`, `code`, `since`, `until`.
    """
    user_id, page = caller(request).whose(request), paging.page_request(request)
    filters: dict[str, Any] = {}
    parts = []
    if variant := inputs.choice(request, "variant", tuple(Variant)):
        parts.append("variant = :variant")
        filters["variant"] = variant
    if wanted := request.query.get("symbol"):
        symbol = symbols.resolve(wanted)
        parts.append("#signal.#symbol.#base = :base")
        filters["base"] = symbol.base
        if symbol.quote:
            parts.append("#signal.#symbol.#quote = :quote")
            filters["quote"] = symbol.quote
    if group_name := request.query.get("group_name"):
        parts.append("#signal.#group_name = :group")
        filters["group"] = group_name
    if outcome := inputs.choice(request, "outcome", trace.OUTCOMES):
        parts.append(trace.outcome_condition(outcome))
    if code := request.query.get("code"):
        parts.append("#code = :code")
        filters["code"] = code
    condition = "user_id = :user"
    if "since" in request.query or "until" in request.query:
        condition += " AND received_at BETWEEN :since AND :until"
        since = _moment(request, "since", _EARLIEST)
        filters |= {
            "since": since,
            "until": max(since, _moment(request, "until", _LATEST)),
        }  # DynamoDB refuses a range that runs backwards
    only = filters | ({"filter_expression": " AND ".join(parts)} if parts else {})
    return paging.answer(
        "signals", condition, page, trace.summary, index="by_user", user=user_id, newest_first=True, **only
    )


def list_orders(request: Request) -> Answer:
    """Lists a user's orders, newest first. Filters: `status`, `symbol`, `account_id`, `signal_id`."""
    user_id, page = caller(request).whose(request), paging.page_request(request)
    filters: dict[str, Any] = {}
    if status := inputs.choice(request, "status", tuple(OrderStatus)):
        filters["status"] = status
    if symbol := request.query.get("symbol"):
        filters["symbol"] = symbols.resolve(symbol).name
    filters |= {name: value for name in ("account_id", "signal_id") if (value := request.query.get(name))}
    expression = " AND ".join(f"#{name} = :{name}" for name in filters)
    only = filters | ({"filter_expression": expression} if filters else {})
    return paging.answer(
        "orders", "user_id = :user", page, _order, index="by_user", user=user_id, newest_first=True, **only
    )


def get_order(request: Request) -> Answer:
    """Returns one order."""
    return Answer(200, trace.order_view(readable_order(caller(request), request.path["order_id"])))


def readable_order(who: Caller, order_id: str) -> Order:
    """Returns an order that the caller may see.

    Raises:
        NotFound: There is no such order, or it belongs to another user.
    """
    signal_id, _, place = order_id.partition("-")
    account_id, _, leg = place.rpartition("-")
    item = None
    if signal_id and account_id and leg and len(order_id) <= _LONGEST:
        item = aws.get("orders", {"signal_id": signal_id, "leg": f"{account_id}#{leg}"})
    if item is None:
        raise NotFound("not_found")
    who.require_owner(item["user_id"])
    return order_store.order_from_item(item)


def list_logs(request: Request) -> Answer:
    """Lists a user's inbound requests, refused ones included, newest first. Filters: `outcome`, `code`.

    Admins get requests without an authenticated user by `unknown`.
    """
    who, page = caller(request), paging.page_request(request)
    user_id = (
        _UNKNOWN
        if who.role is Role.ADMIN and request.query.get("user_id") == _UNKNOWN
        else who.whose(request)
    )
    filters: dict[str, Any] = {}
    if outcome := inputs.choice(request, "outcome", OUTCOMES):
        filters["outcome"] = outcome
    if code := request.query.get("code"):
        filters["code"] = code
    expression = " AND ".join(f"#{name} = :{name}" for name in filters)
    only = filters | ({"filter_expression": expression} if filters else {})
    return paging.answer(
        "webhook_logs", "#owner = :owner", page, _log_view, owner=user_id, newest_first=True, **only
    )


def _order(item: aws.Item) -> dict[str, Any]:
    return trace.order_view(order_store.order_from_item(item))


def _log_view(item: aws.Item) -> aws.Item:
    return {name: value for name, value in item.items() if name not in ("at", "forget_at")}


def _moment(request: Request, name: str, default: str) -> str:
    """Returns `?since=` or `?until=` in stored form. Raises Refused if the value is no time."""
    text = request.query.get(name)
    return default if text is None else inputs.moment(text, name).isoformat()


READING = [
    Route("GET", "/signals", list_signals),
    Route("GET", "/signals/{signal_id}", get_signal),
    Route("GET", "/orders", list_orders),
    Route("GET", "/orders/{order_id}", get_order),
    Route("GET", "/webhook-logs", list_logs),
]
