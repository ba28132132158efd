"""The one-minute sweeper of deliveries.

Queues due deliveries that have no queue message, recovers from crashes and lost messages, and checks the
counters.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from chalicelib import aws
from chalicelib.telemetry import Metric, log, measure
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.delivery import delivery_store, queue
from chalicelib.webhooks.delivery.queue import Message, Task
from chalicelib.webhooks.models import Delivery, State, stamp

_AHEAD = timedelta(minutes=1)  # until the next sweep
_AT_ONCE = 100
_PAGES = 20  # per shard and sweep; the next sweep finds the rest
_AUDIT_MINUTES = 60


def sweep(now: datetime) -> int:
    """Queues everything that is due before the next sweep and returns the number queued."""
    with ThreadPoolExecutor(delivery_store.DUE_SHARDS) as pool:
        return sum(
            pool.map(lambda shard: _sweep_shard(f"due#{shard}", now), range(delivery_store.DUE_SHARDS))
        )


def audit(now: datetime) -> list[int]:
    """Checks the counters of a sixtieth of the subscriptions, so each one hourly.

    Returns the subscriptions whose counters do not balance.
    """
    counter = aws.get("webhooks", {"id": "counter"})
    last = int(counter["last"]) if counter else 0
    minute = int(now.timestamp() // 60) % _AUDIT_MINUTES
    return check_counters(
        webhook_id for webhook_id in range(1, last + 1) if webhook_id % _AUDIT_MINUTES == minute
    )


def check_counters(webhook_ids: Iterable[int]) -> list[int]:
    """Returns the subscriptions whose counters do not balance.

    Logs one line for each. Their number is the metric behind an alarm.
    """
    found = unbalanced_endpoints(endpoint_store.shards(webhook_ids))
    if found:  # a delivery may have moved between the reads of two shards
        found = unbalanced_endpoints(endpoint_store.shards(found))
    for webhook_id in found:
        log.error("delivery counters do not balance", extra={"webhook_id": webhook_id})
    measure(Metric.DELIVERY_IMBALANCE, len(found))
    return found


def unbalanced_endpoints(shards: Mapping[int, Sequence[aws.Item]]) -> list[int]:
    """Returns the subscriptions whose counters, as read, do not balance."""
    return [webhook_id for webhook_id, items in shards.items() if not endpoint_store.is_balanced(items)]


def _sweep_shard(shard: str, now: datetime) -> int:
    sent = 0
    for items in _pages(shard, now + _AHEAD):
        ready = [task for task in (_due_task(item, now) for item in items) if task]
        queue.send(ready, now)
        sent += len(ready)
    return sent


def _pages(shard: str, until: datetime) -> Iterator[list[aws.Item]]:
    start: aws.Item | None = None
    for _ in range(_PAGES):
        condition = "due_shard = :shard AND look_at <= :until"
        items, start = aws.query_page(
            delivery_store.TABLE,
            condition,
            index="due",
            limit=_AT_ONCE,
            start=start,
            shard=shard,
            until=stamp(until),
        )
        yield items
        if start is None:
            return


def _due_task(item: aws.Item, now: datetime) -> tuple[Message, datetime] | None:
    """Returns the task of a due item, and its time.

    A queue message is under way from now on, so the next look is later.
    """
    key = delivery_store.key(item["id"], item["part"])
    if item["part"] != "delivery":
        task = Task(item["part"])
        at = max(datetime.fromisoformat(item["look_at"]), now)
        message = Message(task=task, webhook_id=int(item["id"].partition("#")[2]))
        # A probe's time is its `look_at`. The probe itself moves it.
        return (message, at) if task is Task.PROBE or _look_later(key, item, at) else None
    delivery = delivery_store.from_item(item)
    if delivery.claimed_until and delivery.claimed_until > now:
        return None
    if delivery.state is not State.PENDING or delivery.blocked:
        _look_never(key, item)
        return None
    at = max(delivery.next_retry_at or now, now)
    return (_task(delivery), at) if _look_later(key, item, at) else None


def _task(delivery: Delivery) -> Message:
    return Message(task=Task.DELIVER, webhook_id=delivery.webhook_id, delivery_id=delivery.delivery_id)


def _look_later(key: dict[str, str], item: aws.Item, at: datetime) -> bool:
    later = stamp(at + delivery_store.GRACE)
    return _write(
        aws.update_write(
            delivery_store.TABLE,
            key,
            "SET look_at = :later",
            "look_at = :seen",
            later=later,
            seen=item["look_at"],
        )
    )


def _look_never(key: dict[str, str], item: aws.Item) -> None:
    _write(
        aws.update_write(
            delivery_store.TABLE, key, "REMOVE due_shard, look_at", "look_at = :seen", seen=item["look_at"]
        )
    )


def _write(write: aws.Write) -> bool:
    try:
        aws.write(write)
    except aws.WriteRefused:
        return False  # the item has moved on since the index was read
    return True
