"""In-flight orders at exchanges: recorded before they are sent, then reconciled until they have ended.

Each in-flight order has an item in the table `in_flight_orders` while its state can still change.

- An account's unfinished orders are one consistent query.
- The sparse index `due` finds the orders whose next status check is due.
- The item `#account` counts the account's orders.
- Items of `deadlines.py` say when orders expire and positions are closed.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.errors import Refused, Retryable
from chalicelib.events import outbox
from chalicelib.exchanges.protocol import OrderState, OrderStatus
from chalicelib.exchanges.wire import rounded
from chalicelib.orders import events, store
from chalicelib.orders.models import Order

SHARDS = 8
ACCOUNT_ITEM = "#account"
DEADLINE = "deadline#"  # begins the keys of `deadlines.py`
SNAPSHOT_SOON = timedelta(seconds=20)
SEVERAL = "several"  # fee currency of an order whose fee was taken in several currencies
_LOOK_AGAIN = timedelta(seconds=55)
# after this time the order's message has settled or will not be delivered again
_CLAIM_OVERDUE = timedelta(minutes=3)


Book = Callable[[Order], tuple[Order, list[aws.Write]]]
"""Computes what an ended order realised, see `portfolio/cost_basis.py`.

Returns the order with its realised PnL, and the writes that book it.
"""


class ExistingOrders:
    """One signal's orders in the order store, on one account.

    Attributes:
        orders: The orders by leg.
        count: Number of orders that the account has had so far.
    """

    def __init__(self, orders: dict[str, Order], count: int) -> None:
        self.orders = orders
        self.count = count


def read_existing(signal_id: str, account_id: str, legs: list[str]) -> ExistingOrders:
    """Returns the existing orders of these legs and the account's order count, in one batch read."""
    return from_items(aws.get_many(item_keys(signal_id, account_id, legs)))


def item_keys(signal_id: str, account_id: str, legs: list[str]) -> list[tuple[str, aws.Key]]:
    """Returns the keys for `from_items`, for callers that batch reads."""
    orders: list[tuple[str, aws.Key]] = [
        ("orders", {"signal_id": signal_id, "leg": f"{account_id}#{leg}"}) for leg in legs
    ]
    return [*orders, ("in_flight_orders", {"account_id": account_id, "order_id": ACCOUNT_ITEM})]


def from_items(found: Sequence[aws.Item | None]) -> ExistingOrders:
    """Returns the orders from the items read under `item_keys`."""
    *legs, account = found
    orders = {order.leg: order for order in (store.order_from_item(item) for item in legs if item)}
    return ExistingOrders(orders, int((account or {}).get("orders", 0)))


def claim(order: Order, deadlines: Sequence[aws.Write] = ()) -> None:
    """Writes a new order before it is sent. Of several attempts one succeeds.

    Args:
        deadlines: The writes of the order's deadlines.

    Raises:
        Retryable: Another attempt has written the order. The next delivery of the message reads its progress.
    """
    try:
        aws.transact(
            [
                store.order_write(order),
                _in_flight_write(order, order.created_at + _CLAIM_OVERDUE),
                _count_write(order),
                *deadlines,
            ]
        )
    except aws.WriteRefused as refused:
        raise Retryable("order already recorded by another attempt") from refused


def send_again(order: Order, *, limited: bool = False) -> Order:
    """Records that an order which is certainly absent at the exchange is about to be sent again.

    Args:
        limited: Whether only a rate limit turned the order away. Such a send does not count as a try.
    """
    now = datetime.now(UTC)
    changed = order.model_copy(
        update={
            "status": OrderStatus.PENDING_NEW,
            "sent_at": now,
            "tries": order.tries + (not limited),
            "updated_at": now,
            "version": order.version + 1,
        }
    )
    _transact([store.order_change_write(changed)])
    return changed


def record(order: Order, state: OrderState, book: Book | None = None, **more: Any) -> Order:
    """Records an order's state at the exchange, with its event. Writes nothing if nothing is new.

    Args:
        book: Books the order once it has ended. None books nothing.
    """
    changed, writes = record_writes(order, state, book, **more)
    if writes:
        _transact(writes)
    return changed


def record_writes(
    order: Order, state: OrderState, book: Book | None = None, **more: Any
) -> tuple[Order, list[aws.Write]]:
    """Returns the changed order and the writes of `record`, for callers with further writes."""
    fields = {**_reported_fields(order, state), **more}
    if all(getattr(order, name) == value for name, value in fields.items()):
        return order, []
    return _record_writes(order, fields, book)


def mark_unknown(order: Order, *, sent_now: bool = False) -> Order:
    """Marks an order's outcome as unknown.

    Args:
        sent_now: Whether the order was sent again just now.
    """
    if order.status is OrderStatus.UNKNOWN and not sent_now:
        return order
    return _record(
        order, {"status": OrderStatus.UNKNOWN, **({"sent_at": datetime.now(UTC)} if sent_now else {})}
    )


def mark_cancelled(order: Order, code: str) -> Order:
    """Records that an order is gone from the exchange. It is looked up for a while in case it reappears."""
    return _record(
        order, {"status": OrderStatus.CANCELLED, "code": code, "written_off_at": datetime.now(UTC)}
    )


def reject(order: Order, refusal: Refused, *, absent: bool = False) -> Order:
    """Records that an order was not placed, and the reason.

    Args:
        absent: Whether the order was sent and the exchange does not have it. It is then looked up for a while
            in case it appears late.
    """
    values = {name: str(value) for name, value in refusal.values.items() if value is not None}
    written_off = {"written_off_at": datetime.now(UTC)} if absent else {}
    return _record(
        order, {"status": OrderStatus.REJECTED, "code": refusal.code, "values": values, **written_off}
    )


def take_up(order: Order, state: OrderState, book: Book | None = None, **more: Any) -> Order:
    """Records that a written-off order is at the exchange after all, with its event."""
    return record(order, state, book, written_off_at=None, code=None, values={}, **more)


def stop_watching(order: Order) -> None:
    """Ends the look-ups of a written-off order that has not appeared."""
    _transact([_ended_write(order)])


def complete(order: Order, book: Book, **fees: Any) -> Order:
    """Records an ended order's fees, the last fields to become known."""
    changed = order.model_copy(update={**fees, "updated_at": datetime.now(UTC), "version": order.version + 1})
    changed, booked = book(changed)
    follow = (
        _in_flight_write(changed, changed.updated_at + _LOOK_AGAIN)
        if changed.unprotected
        else _ended_write(changed)
    )
    _transact([store.order_change_write(changed), follow, *booked])
    return changed


def mark_protected(
    order: Order,
    *,
    failed: Refused | None = None,
    missing: str = "stop_loss",
    again: bool = False,
    left: Decimal = Decimal(0),
    looked_up: bool = False,
) -> Order:
    """Records that an order's exits are placed, or the failure of an exit with an event.

    Args:
        failed: Why an exit failed. None if none did.
        missing: `stop_loss` or `take_profit`.
        again: Whether the exits are tried again in a minute. If not, no further exit is placed.
        left: Base units that still have no exits. They are tried again in a minute.
        looked_up: Whether the exit was sent and its outcome is looked up each minute.
    """
    done = {} if again else {"protected": order.received - left}
    now = datetime.now(UTC)
    changed = order.model_copy(
        update={**done, "exit_round": order.exit_round + 1, "updated_at": now, "version": order.version + 1}
    )
    follow = _ended_write(changed) if _is_complete(changed) else _in_flight_write(changed, now + _LOOK_AGAIN)
    event_writes = (
        [
            outbox.event_write(
                events.protection_failed_event(
                    changed, failed, missing, again=again or looked_up or bool(left)
                )
            )
        ]
        if failed
        else []
    )
    _transact([store.order_change_write(changed), follow, *event_writes])
    return changed


def warn_unprotected(order: Order, failed: Refused, missing: str) -> Order:
    """Records that the state of an order's exits is unknown, with an event. Placing them continues."""
    now = datetime.now(UTC)
    changed = order.model_copy(update={"updated_at": now, "version": order.version + 1})
    event_write = outbox.event_write(events.protection_failed_event(changed, failed, missing, again=True))
    _transact([store.order_change_write(changed), _in_flight_write(changed, now + _LOOK_AGAIN), event_write])
    return changed


def mark_unprotected(exit_: Order) -> None:
    """Has an order's exits placed again, because this exit never reached the exchange."""
    if writes := exposing(exit_):
        _transact(writes)


def exposing(exit_: Order) -> list[aws.Write]:
    """Returns the writes that have the rest of an exit protected again. Empty if the stop-loss stands."""
    entry = read_existing(exit_.signal_id, exit_.account_id, [exit_.exit_of or ""]).orders[
        exit_.exit_of or ""
    ]
    if entry.exits is not None and entry.exits.stops and ".sl" not in exit_.leg and not exit_.filled:
        return []  # a take-profit that has traded cancels the stop-loss
    now = datetime.now(UTC)
    uncovered = max(entry.protected - (exit_.quantity - exit_.filled), Decimal(0))
    changed = entry.model_copy(
        update={"protected": uncovered, "updated_at": now, "version": entry.version + 1}
    )
    return [store.order_change_write(changed), _in_flight_write(changed, now)]


def exits_of(order: Order) -> list[Order]:
    """Returns the other exits that were placed together with this one."""
    assert order.exit_of is not None
    kind = order.leg.removeprefix(f"{order.exit_of}.")
    others = [f"{order.exit_of}.{name}{kind[2:]}" for name in ("sl", "tp") if name != kind[:2]]
    return list(read_existing(order.signal_id, order.account_id, others).orders.values())


def schedule_order(order: Order, until: datetime) -> None:
    """Schedules the next status check."""
    _transact([_in_flight_write(order, until)])


def unfinished(account_id: str, *, due_by: datetime | None = None) -> list[Order]:
    """Returns the account's unfinished orders, read consistently.

    Args:
        due_by: Returns only orders whose status check is due by this time. None returns all.
    """
    items = [
        item
        for item in aws.query_all(
            "in_flight_orders", "account_id = :account", account=account_id, consistent=True
        )
        if item["order_id"] != ACCOUNT_ITEM
        and not item["order_id"].startswith(DEADLINE)
        and (due_by is None or item["due_at"] <= due_by.isoformat())
    ]
    orders: list[Order] = []
    for start in range(0, len(items), 100):
        keys: list[tuple[str, aws.Key]] = [("orders", item["at"]) for item in items[start : start + 100]]
        orders += [store.order_from_item(found) for found in aws.get_many(keys) if found]
    return sorted(orders, key=lambda order: order.number)


def due_items(now: datetime) -> Iterator[Mapping[str, Any]]:
    """Yields the due items of `in_flight_orders` of all accounts, shard after shard.

    Each item names its account and exchange.
    """
    for shard in range(SHARDS):
        condition = "#shard = :shard AND due_at <= :now"
        yield from aws.query_all(
            "in_flight_orders", condition, index="due", shard=str(shard), now=now.isoformat()
        )


def unknown_outcomes() -> int:
    """Returns the number of orders with an unknown outcome, over all accounts.

    Reads only in-flight orders, not the order store.
    """
    return sum(
        sum(
            1
            for _ in aws.query_all(
                "in_flight_orders",
                "#shard = :shard",
                index="due",
                filter_expression="#status = :unknown",
                **of,
            )
        )
        for of in ({"shard": str(shard), "unknown": OrderStatus.UNKNOWN.value} for shard in range(SHARDS))
    )


def schedule_account(account_id: str, exchange: str, at: datetime) -> None:
    """Schedules the account's next snapshot."""
    expression = "SET #shard = :shard, due_at = :due, exchange = :exchange"
    values = {"shard": shard_of(account_id), "due": at.isoformat(), "exchange": exchange}
    aws.write(
        aws.update_write(
            "in_flight_orders", {"account_id": account_id, "order_id": ACCOUNT_ITEM}, expression, **values
        )
    )


def mark_doubtful(account_id: str, exchange: str, at: datetime) -> None:
    """Marks an account whose positions differ from its records, and schedules another check."""
    expression = "SET doubted = :doubted, #shard = :shard, due_at = :due, exchange = :exchange"
    values: dict[str, Any] = {
        "doubted": True,
        "shard": shard_of(account_id),
        "due": at.isoformat(),
        "exchange": exchange,
    }
    aws.write(
        aws.update_write(
            "in_flight_orders", {"account_id": account_id, "order_id": ACCOUNT_ITEM}, expression, **values
        )
    )


def write_books(
    account_id: str, before: Mapping[str, Any] | None, books: Mapping[str, Any], event_writes: list[aws.Write]
) -> None:
    """Writes the account's recorded positions, with the events of their changes.

    Args:
        before: The recorded positions as they were read. None if there were none.
        event_writes: The writes of the events.

    Raises:
        Retryable: The positions were recorded concurrently. Nothing was written.
    """
    key = {"account_id": account_id, "order_id": ACCOUNT_ITEM}
    unchanged, values = (
        ("books = :before", {"before": before}) if before else ("attribute_not_exists(books)", {})
    )
    _transact(
        [
            aws.update_write(
                "in_flight_orders", key, "SET books = :books REMOVE doubted", unchanged, books=books, **values
            ),
            *event_writes,
        ]
    )


def account_item(account_id: str) -> aws.Item | None:
    """Returns the account's own item. None if there is none."""
    return aws.get("in_flight_orders", {"account_id": account_id, "order_id": ACCOUNT_ITEM})


def _record(order: Order, fields: dict[str, Any]) -> Order:
    changed, writes = _record_writes(order, fields, None)
    _transact(writes)
    return changed


def _record_writes(order: Order, fields: dict[str, Any], book: Book | None) -> tuple[Order, list[aws.Write]]:
    changed = order.model_copy(
        update={**fields, "updated_at": datetime.now(UTC), "version": order.version + 1}
    )
    changed, booked = book(changed) if book else (changed, [])
    follow = (
        _ended_write(changed)
        if _is_complete(changed)
        else _in_flight_write(changed, changed.updated_at + _LOOK_AGAIN)
    )
    return changed, [
        store.order_change_write(changed),
        outbox.event_write(events.order_event(changed)),
        follow,
        *booked,
    ]


def _is_complete(order: Order) -> bool:
    """Returns whether an order needs no further look-up or action.

    It has ended, its fee is known, its exits are placed and it is not written off.
    """
    fees_known = order.fee is not None or order.fee_currency is not None or not order.filled
    return order.status.final and fees_known and not order.unprotected and order.written_off_at is None


def _reported_fields(order: Order, state: OrderState) -> dict[str, Any]:
    status = state.status
    if status is OrderStatus.OPEN and state.filled:
        status = OrderStatus.PARTIALLY_FILLED
    fields: dict[str, Any] = {"status": status, "filled": state.filled}
    fields["exchange_order_id"] = state.exchange_order_id or order.exchange_order_id
    if order.exit_after_s and state.filled and not order.filled:
        fields["opened_at"] = datetime.now(UTC)
    if state.average_price is not None and state.filled:
        # Binance spot returns sums and no average.
        fields["average_price"] = rounded(state.average_price)
        fields["value"] = rounded(state.average_price * state.filled)
    if state.fee is not None:
        fields |= {"fee": state.fee, "fee_currency": state.fee_currency}
    return fields


def _in_flight_write(order: Order, at: datetime) -> aws.Write:
    item = {
        "account_id": order.account_id,
        "order_id": order.order_id,
        "at": {"signal_id": order.signal_id, "leg": f"{order.account_id}#{order.leg}"},
        "exchange": order.exchange,
        "shard": shard_of(order.account_id),
        "due_at": at.isoformat(),
        "status": order.status.value,
    }
    return aws.put_write("in_flight_orders", item)


def _ended_write(order: Order) -> aws.Write:
    return aws.delete_write("in_flight_orders", {"account_id": order.account_id, "order_id": order.order_id})


def _count_write(order: Order) -> aws.Write:
    """Returns the write that counts the order and schedules the account's next snapshot."""
    before = order.number - 1
    return aws.update_write(
        "in_flight_orders",
        {"account_id": order.account_id, "order_id": ACCOUNT_ITEM},
        "SET orders = :number, #shard = :shard, due_at = :due, exchange = :exchange",
        "orders = :before" if before else "attribute_not_exists(orders)",
        number=Decimal(order.number),
        shard=shard_of(order.account_id),
        due=(order.created_at + SNAPSHOT_SOON).isoformat(),
        exchange=order.exchange,
        **({"before": Decimal(before)} if before else {}),
    )


def shard_of(account_id: str) -> str:
    """Returns the shard of an account's items in the index `due`."""
    return str(zlib.crc32(account_id.encode()) % SHARDS)


def write(writes: list[aws.Write]) -> None:
    """Writes what `record_writes` returned.

    Raises:
        Retryable: The order was modified concurrently.
    """
    _transact(writes)


def _transact(writes: list[aws.Write]) -> None:
    try:
        aws.transact(writes)
    except aws.WriteRefused as refused:
        raise Retryable("order modified concurrently") from refused
