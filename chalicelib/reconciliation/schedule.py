"""Each minute, queues the accounts that need reconciliation, each in its own message group."""

from datetime import UTC, datetime

from chalicelib.orders import in_flight, queue
from chalicelib.orders.models import ReconcileAccount
from chalicelib.telemetry import Metric, measure


def queue_due_accounts() -> int:
    """Queues one message per account with a due order or snapshot. Returns their number."""
    now = datetime.now(UTC)
    measure(Metric.UNKNOWN_OUTCOMES, in_flight.unknown_outcomes())
    accounts = {item["account_id"]: item["exchange"] for item in in_flight.due_items(now)}
    minute = now.strftime("%Y-%m-%dT%H:%M")
    messages = [
        ReconcileAccount(follow_id=f"follow:{minute}", account_id=account_id, exchange=exchange)
        for account_id, exchange in sorted(accounts.items())
    ]
    if messages:
        queue.send_messages(messages)
    return len(messages)
