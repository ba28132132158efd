"""Builds a signal's history: request, plan, executions, events, deliveries.

Events are not read but derived from the order store. Their ids are computed from their content, and the ids
of deliveries to outbound webhooks are computed from the event ids. Earlier states of an order are limited to
those its record still shows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib import aws, messages
from chalicelib.events.models import ADMIN_STREAM, event_id, user_stream
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.orders import store as order_store
from chalicelib.orders.models import AccountResult, Order, Outcome
from chalicelib.signals import answers
from chalicelib.webhooks import endpoint_store as webhooks
from chalicelib.webhooks.delivery import delivery_store as deliveries

_MOST_DELIVERIES = 100  # read in one call
_ANSWERED = ("paper", "group", "manual")
ACCEPTED = "accepted"
OUTCOMES = (ACCEPTED, *(each.value for each in Outcome))
"""What `outcome` of a signal can be."""

_OF_ITEM = ("signal_id", "user_id", "variant", "received_at")


def trace(item: dict[str, Any], language: str, *, for_admin: bool = False) -> dict[str, Any]:
    """Returns the request, its parsed form, the settings, and the results on each account.

    `result` is the seed's body. An administrator also gets the deliveries to the administrators' endpoints.
    """
    executions, orders = order_store.results_of(item["signal_id"])
    settled = len(executions) >= len(item["targets"])
    events = list(_events(item, executions, orders))
    shown = summary(item) | {
        "status": "settled" if settled else "accepted",
        **_request_fields(item),
        "settings": item["settings"],
        "signal": item["signal"],
        "instruction": item["instruction"],
        "targets": [
            dict(zip(("account_id", "exchange", "weight"), target, strict=True)) for target in item["targets"]
        ],
        "missed": item.get("missed"),
        "queued": "unqueued" not in item,
        "executions": [_execution(execution, language) for execution in executions],
        "orders": [order_view(order) for order in orders],
        "events": events,
        "deliveries": _deliveries(
            [user_stream(item["user_id"]), *([ADMIN_STREAM] if for_admin else [])],
            [event["event_id"] for event in events],
        ),
    }
    if settled and item["variant"] in _ANSWERED:
        shown["result"] = answers.settled_response(
            item["signal"], int(item["accounts"]), executions, language
        )[1]
    return shown


def summary(item: dict[str, Any]) -> dict[str, Any]:
    """Returns a signal as lists show it."""
    signal = item["signal"]
    symbol = signal.get("symbol") or {}
    read = {
        "action": signal["action"],
        "symbol": f"{symbol['base']}{symbol.get('quote') or ''}" if symbol else None,
        "group_name": signal.get("group_name"),
    }
    ended = {"outcome": outcome(item), "code": item.get("code"), "counts": _counts(item)}
    return {name: item[name] for name in _OF_ITEM} | {"accounts": len(item["targets"])} | read | ended


def outcome(item: aws.Item) -> str:
    """How a signal ended on all of its accounts; `accepted` while one of them has not settled."""
    counts = _counts(item)
    if sum(counts.values()) < len(item["targets"]):
        return ACCEPTED
    return next(iter(counts)) if len(counts) == 1 else Outcome.PARTIAL.value


def outcome_condition(wanted: str) -> str:
    """The filter expression for signals of an outcome. It compares with `n_accounts`."""
    if wanted == ACCEPTED:
        return "(attribute_not_exists(n_settled) OR n_settled < n_accounts)"
    if wanted != Outcome.PARTIAL:
        return f"n_{wanted} = n_accounts"
    others = [
        f"(attribute_not_exists(n_{each}) OR n_{each} < n_accounts)" for each in Outcome if each != wanted
    ]
    return " AND ".join(["n_settled = n_accounts", *others])


def _counts(item: aws.Item) -> dict[str, int]:
    """How many accounts ended in which way."""
    return {each.value: int(item[f"n_{each}"]) for each in Outcome if f"n_{each}" in item}


def order_view(order: Order) -> dict[str, Any]:
    """Returns an order as the API shows it."""
    return order.model_dump() | {"order_id": order.order_id}


def _request_fields(item: dict[str, Any]) -> dict[str, Any]:
    """Returns the route, address and body of the request, credentials masked.

    Nulls if the log entry has expired, which happens before the signal expires.
    """
    place = f"{item['received_at']}#{item['signal_id']}"
    entries, _ = aws.query_page(
        "webhook_logs", "#owner = :owner AND #at = :at", owner=item["user_id"], at=place, limit=1
    )
    entry = entries[0] if entries else {}
    return {name: entry.get(name) for name in ("route", "source_ip", "body")}


def _execution(execution: AccountResult, language: str) -> dict[str, Any]:
    names = {
        "account_id",
        "account_name",
        "exchange",
        "cancelled",
        "not_cancelled",
        "note",
        "settled_at",
        "detail",
    }
    shown = execution.model_dump(include=names)
    refused = [
        leg.model_dump() | {"error": messages.render(leg.code, leg.values, language)}
        for leg in execution.refused
    ]
    return shown | {"refused": refused}


def _events(
    item: dict[str, Any], executions: Sequence[AccountResult], orders: Sequence[Order]
) -> Iterator[dict[str, Any]]:
    """Yields the signal's events in order."""
    found: list[tuple[str, str, tuple[str, ...]]] = [
        (item["received_at"], "signal.accepted", (item["signal_id"],))
    ]
    if "missed" in item and not item["missed"].get("came_late"):
        found.append((item["received_at"], "signal.missed", (item["signal_id"],)))
    for order in orders:
        states = [(order.updated_at, order.status.value, order.version)]
        if order.version > 1 and order.status is not OrderStatus.OPEN:
            states.insert(0, (order.created_at, OrderStatus.OPEN.value, 1))
        for at, status, version in states:
            type_ = "order.opened" if status == OrderStatus.OPEN else f"order.{status}"
            found.append((at.isoformat(), type_, (order.order_id, str(version))))
    unhappy = [execution for execution in executions if execution.refused]
    found += [
        (each.settled_at.isoformat(), "signal.refused", (each.signal_id, each.account_id)) for each in unhappy
    ]
    for event_at, type_, parts in sorted(found):
        about = f"order#{parts[0]}" if type_.startswith("order.") else f"signal#{parts[0]}"
        yield {"at": event_at, "type": type_, "entity": about, "event_id": event_id(type_, *parts)}


def _deliveries(streams: Sequence[str], event_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the deliveries of these events to the outbound webhooks of these streams."""
    subscribed = [webhook for stream in streams for webhook in webhooks.list_page(stream)]
    ids = [deliveries.delivery_id(webhook.webhook_id, each) for each in event_ids for webhook in subscribed][
        :_MOST_DELIVERIES
    ]
    if not ids:
        return []
    items = aws.get_many([(deliveries.TABLE, deliveries.key(each)) for each in ids])
    return [_delivery(item) for item in items if item]


def _delivery(item: aws.Item) -> dict[str, Any]:
    shown = deliveries.from_item(item)
    return {
        "delivery_id": shown.delivery_id,
        "webhook_id": shown.webhook_id,
        "event_type": shown.type,
        "status": shown.status,
        "attempts": shown.attempts,
        "response_status": shown.response_status,
        "created_at": shown.placed.partition("#")[0],
        "delivered_at": shown.delivered_at,
    }
