"""Each minute, queues what is due on accounts, each account in its own message group."""

from datetime import UTC, datetime

from chalicelib.orders import deadlines, in_flight, queue
from chalicelib.orders.models import KeepDeadline, ReconcileAccount
from chalicelib.telemetry import Metric, measure


def queue_due_accounts() -> int:
    """Queues one message per account with a due order or snapshot, and one per due deadline.

    Returns the number of messages.
    """
    now = datetime.now(UTC)
    measure(Metric.UNKNOWN_OUTCOMES, in_flight.unknown_outcomes())
    accounts: dict[str, str] = {}
    messages: list[queue.Message] = []
    for item in in_flight.due_items(now):
        if deadlines.is_deadline(item):
            due_at = datetime.fromisoformat(item["due_at"])
            names = {name: item[name] for name in ("account_id", "exchange")}
            messages.append(KeepDeadline(deadline_id=item["order_id"], due_at=due_at, **names))
        else:
            accounts[item["account_id"]] = item["exchange"]
    minute = now.strftime("%Y-%m-%dT%H:%M")
    messages += [
        ReconcileAccount(follow_id=f"follow:{minute}", account_id=account_id, exchange=exchange)
        for account_id, exchange in sorted(accounts.items())
    ]
    if messages:
        queue.send_messages(messages)
    return len(messages)
