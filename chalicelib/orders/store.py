"""The order ledger: a signal's executions and orders."""

from collections.abc import Sequence

from chalicelib import aws
from chalicelib.events import outbox
from chalicelib.events.models import Event
from chalicelib.orders.models import AccountResult, Order


def record_result(
    execution: AccountResult, *, single_account: bool, effects: Sequence[aws.Write], events: Sequence[Event]
) -> None:
    """Writes how a signal ended on an account, with everything it did there and the events that tell of it, all or none.

    Args:
        single_account: The signal went to this account only, so its message is known to have arrived.
        effects: What it did, each write with the condition that things were as they were read.

    Raises:
        WriteRefused: The signal had been settled on this account before, or an effect's condition did not hold.
    """
    key = {"signal_id": execution.signal_id, "leg": execution.account_id}
    record = execution.model_dump(exclude={"orders"}) | key | {"settled_at": execution.settled_at.isoformat()}
    writes = [aws.put_write("orders", record, "attribute_not_exists(leg)"), *effects]
    writes += [outbox.event_write(event) for event in events]
    if single_account:
        writes.append(aws.update_write("signals", {"signal_id": execution.signal_id}, "REMOVE unqueued"))
    aws.transact(writes)


def order_write(order: Order) -> aws.Write:
    """The write of a new order."""
    return aws.put_write("orders", _item(order), "attribute_not_exists(leg)")


def order_change_write(order: Order) -> aws.Write:
    """The write of an order's next version."""
    return aws.put_write("orders", _item(order), "version = :before", before=order.version - 1)


def is_settled(signal_id: str, account_id: str) -> bool:
    """Whether a signal has ended on an account."""
    return aws.get_many([("orders", {"signal_id": signal_id, "leg": account_id})])[0] is not None


def results_of(signal_id: str) -> tuple[list[AccountResult], list[Order]]:
    """All executions and orders of a signal so far."""
    items = list(aws.query_all("orders", "signal_id = :signal", signal=signal_id, consistent=True))
    orders = [order_from_item(item) for item in items if "#" in item["leg"]]
    executions = [
        AccountResult.model_validate(
            item
            | {
                "orders": tuple(
                    order
                    for order in orders
                    if order.account_id == item["account_id"] and order.exit_of is None
                )
            }
        )
        for item in items
        if "#" not in item["leg"]
    ]
    return executions, orders


def order_from_item(item: aws.Item) -> Order:
    """An order out of its ledger item."""
    return Order.model_validate(item | {"leg": item["leg"].rpartition("#")[2]})


def _item(order: Order) -> aws.Item:
    times = {
        "created_at": order.created_at.isoformat(),
        "updated_at": order.updated_at.isoformat(),
        "sent_at": order.sent_at.isoformat() if order.sent_at else None,
        "written_off_at": order.written_off_at.isoformat() if order.written_off_at else None,
    }
    return order.model_dump() | {"leg": f"{order.account_id}#{order.leg}", "order_id": order.order_id} | times
