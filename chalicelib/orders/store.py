"""The order store: orders and account results in DynamoDB."""

from collections.abc import Sequence

from chalicelib import aws
from chalicelib.events import outbox
from chalicelib.events.models import Event
from chalicelib.orders.models import AccountResult, Order


def record_result(
    execution: AccountResult, *, single_account: bool, effects: Sequence[aws.Write], events: Sequence[Event]
) -> None:
    """Records a signal's result on an account with its effects and events, in one transaction.

    Args:
        single_account: Whether the signal went to this account only, so that its message is known to have
            arrived.
        effects: Further writes, each conditional on the records as they were read.

    Raises:
        WriteRefused: The signal had already settled on this account, or the condition of an effect failed.
    """
    key = {"signal_id": execution.signal_id, "leg": execution.account_id}
    record = execution.model_dump(exclude={"orders"}) | key | {"settled_at": execution.settled_at.isoformat()}
    writes = [aws.put_write("orders", record, "attribute_not_exists(leg)"), *effects]
    writes += [outbox.event_write(event) for event in events]
    if single_account:
        writes.append(aws.update_write("signals", {"signal_id": execution.signal_id}, "REMOVE unqueued"))
    aws.transact(writes)


def order_write(order: Order) -> aws.Write:
    """Returns the write of a new order."""
    return aws.put_write("orders", _item(order), "attribute_not_exists(leg)")


def order_change_write(order: Order) -> aws.Write:
    """Returns the write of an order's next version."""
    return aws.put_write("orders", _item(order), "version = :before", before=order.version - 1)


def is_settled(signal_id: str, account_id: str) -> bool:
    """Returns whether a signal has settled on an account."""
    return aws.get_many([("orders", {"signal_id": signal_id, "leg": account_id})])[0] is not None


def results_of(signal_id: str) -> tuple[list[AccountResult], list[Order]]:
    """Returns all account results and orders of a signal so far."""
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
    """Returns the order stored in an item."""
    return Order.model_validate(item | {"leg": item["leg"].rpartition("#")[2]})


def _item(order: Order) -> aws.Item:
    times = {
        "created_at": order.created_at.isoformat(),
        "updated_at": order.updated_at.isoformat(),
        "sent_at": order.sent_at.isoformat() if order.sent_at else None,
        "written_off_at": order.written_off_at.isoformat() if order.written_off_at else None,
    }
    return order.model_dump() | {"leg": f"{order.account_id}#{order.leg}", "order_id": order.order_id} | times
