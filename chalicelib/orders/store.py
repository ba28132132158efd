"""The order store: orders and account results in DynamoDB."""

from collections.abc import Sequence

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.events import outbox
from chalicelib.events.models import Event
from chalicelib.orders.models import AccountResult, Order
from chalicelib.telemetry import log


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
    record |= {"outcome": execution.outcome.value, "code": execution.code}
    writes = [aws.put_write("orders", record, "attribute_not_exists(leg)"), *effects]
    writes += [outbox.event_write(event) for event in events]
    if single_account:
        writes.append(_outcome_write(record, "REMOVE unqueued"))
    aws.transact(writes)
    if not single_account:
        count_outcome(record)


def count_outcome(record: aws.Item) -> None:
    """Adds an account's outcome to its signal, once per account.

    The signal of many accounts is written outside their transactions: they would conflict on its item. Should
    the process die in between, the next delivery of the message counts.

    Args:
        record: The account result as stored.
    """
    account_id = record["leg"]
    try:
        aws.write(
            _outcome_write(
                record,
                condition="attribute_exists(signal_id) AND NOT contains(settled_on, :account)",
                add=", settled_on :accounts",
                accounts={account_id},
                account=account_id,
            )
        )
    except aws.WriteRefused:
        return  # counted before, or the signal has been forgotten
    except Retryable:
        log.warning("outcome not counted", extra={"signal_id": record["signal_id"], "account_id": account_id})


def _outcome_write(
    record: aws.Item, more: str = "", condition: str | None = None, add: str = "", **values: object
) -> aws.Write:
    """Counts an account's outcome on the signal, so that a list of signals reads nothing else."""
    reason = "SET #code = if_not_exists(#code, :code) " if record["code"] else ""
    expression = f"{reason}ADD n_settled :one, n_{record['outcome']} :one{add} {more}".rstrip()
    given = {"one": 1, **({"code": record["code"]} if record["code"] else {}), **values}
    return aws.update_write("signals", {"signal_id": record["signal_id"]}, expression, condition, **given)


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
        "filled_at": order.filled_at.isoformat() if order.filled_at else None,
        "written_off_at": order.written_off_at.isoformat() if order.written_off_at else None,
        "expires_at": order.expires_at.isoformat() if order.expires_at else None,
        "opened_at": order.opened_at.isoformat() if order.opened_at else None,
    }
    return order.model_dump() | {"leg": f"{order.account_id}#{order.leg}", "order_id": order.order_id} | times
