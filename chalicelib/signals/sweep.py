"""Recovers signals that were stored, but may never have reached their queues."""

from datetime import datetime, timedelta

from chalicelib.orders import queue
from chalicelib.orders import store as order_store
from chalicelib.signals import store
from chalicelib.telemetry import log


def requeue(older_than: timedelta, now: datetime) -> int:
    """Sends the messages of these signals again, for accounts that have not settled.

    Returns the number of signals.
    """
    swept = 0
    for item in store.unqueued_signals(now - older_than):
        done = {execution.account_id for execution in order_store.results_of(item["signal_id"])[0]}
        missing = [
            instruction for instruction in store.instructions_of(item) if instruction.account_id not in done
        ]
        queue.send_messages(missing)
        if not missing:
            store.mark_queued(item["signal_id"])
        log.info("signal swept", extra={"signal_id": item["signal_id"], "messages": len(missing)})
        swept += 1
    return swept
