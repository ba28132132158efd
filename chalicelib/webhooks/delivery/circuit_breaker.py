"""Pauses failing endpoints, probes them, and releases their backlog after recovery.

A probe sends the oldest paused delivery (half-open). If the endpoint takes the delivery, the endpoint becomes
active again. An endpoint that answered 410 asked for no more calls: only its owner can resume it.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib import aws
from chalicelib.events import outbox
from chalicelib.users import entitlement
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.delivery import delivery_store, queue, schedule
from chalicelib.webhooks.delivery.queue import Message, Task
from chalicelib.webhooks.models import Delivery, State, Status, Webhook, stamp
from chalicelib.webhooks.notices import webhook_event

if TYPE_CHECKING:
    from chalicelib.webhooks.delivery.deliver import Dependencies

_DRAIN_RATE = 50  # deliveries per second to an endpoint without a rate limit
_DRAIN_S = 10  # seconds' worth of deliveries released at a time
_RELEASED_AT_ONCE = 100
_CHECK_AGAIN = timedelta(minutes=1)
_ANEW: dict[str, Any] = {"tries": 0, "first_attempt_at": None, "next_retry_at": None}
NOT_ENTITLED = "not_entitled"
"""The reason to disable a subscription whose owner may no longer read its events."""
_UNPROBED = ("gone", NOT_ENTITLED)

Attempt = Callable[[Delivery, Webhook, "Dependencies"], tuple[Delivery, bool]]


def task_key(webhook_id: int, task: Task) -> dict[str, str]:
    """Returns the key of a subscription's due work in the deliveries table."""
    return delivery_store.key(f"webhook#{webhook_id}", task.value)


def plan_task_write(webhook_id: int, task: Task, look_at: datetime, **values: int) -> aws.Write:
    """Returns the write that plans due work of a subscription."""
    key = task_key(webhook_id, task)
    return aws.put_write(
        delivery_store.TABLE, {**key, **delivery_store.due_attributes(key["id"], look_at), **values}
    )


def is_permitted(webhook: Webhook, owners: entitlement.Owners, now: datetime) -> bool:
    """Returns whether a subscription's owner may read its stream now.

    If not, disables the endpoint. Only its owner can resume it.
    """
    if owners.entitled(webhook.owner, webhook.stream):
        return True
    if webhook.is_active:
        switch_off(webhook, NOT_ENTITLED, now, 0)
    return False


def switch_off(webhook: Webhook, reason: str, now: datetime, jitter: float) -> None:
    """Disables an endpoint, notifies its owner, and plans the first probe.

    No-op if the endpoint is no longer active.
    """
    disabled = webhook.model_copy(
        update={"status": Status.DISABLED, "disabled_reason": reason, "updated_at": now}
    )
    also = [outbox.event_write(webhook_event("webhook.disabled", disabled, now, reason=reason))]
    if reason not in _UNPROBED:
        also.append(
            plan_task_write(webhook.webhook_id, Task.PROBE, now + schedule.probe_delay(0, jitter), probes=0)
        )
    try:
        endpoint_store.put(disabled, *also, seen=webhook.updated_at)
    except aws.WriteRefused:
        return


def switch_on(webhook: Webhook, now: datetime, *further: aws.Write) -> Webhook:
    """Activates an endpoint and starts to release its backlog.

    Raises:
        WriteRefused: The subscription has changed since it was read.
    """
    update = {"status": Status.ACTIVE, "disabled_reason": None, "failing_since": None, "updated_at": now}
    active = webhook.model_copy(update=update)
    also = [
        plan_task_write(webhook.webhook_id, Task.DRAIN, now + delivery_store.GRACE),
        aws.delete_write(delivery_store.TABLE, task_key(webhook.webhook_id, Task.PROBE)),
        *further,
    ]
    if webhook.status is Status.DISABLED:
        also.append(outbox.event_write(webhook_event("webhook.enabled", active, now)))
    endpoint_store.put(active, *also, seen=webhook.updated_at)
    queue.send([(Message(task=Task.DRAIN, webhook_id=webhook.webhook_id), now)], now)
    return active


def drain(webhook_id: int, now: datetime) -> int:
    """Releases a part of an endpoint's backlog, oldest first, and returns the number released.

    Plans the next part while deliveries remain. Gives up the deliveries of a deleted subscription.
    """
    webhook = endpoint_store.get(webhook_id)
    deleted = webhook is None or webhook.status is Status.DELETED
    if webhook and not deleted and not webhook.is_active:
        aws.write(aws.delete_write(delivery_store.TABLE, task_key(webhook_id, Task.DRAIN)))
        return 0
    rate = (webhook.rate_limit if webhook else None) or _DRAIN_RATE
    at_once = max(1, min(_RELEASED_AT_ONCE, rate * _DRAIN_S))
    paused, _ = aws.query_page(
        delivery_store.TABLE, "paused_for = :id", index="paused", limit=at_once, id=webhook_id
    )
    ready: list[tuple[Message, datetime]] = []
    for index, item in enumerate(paused):
        at = now + timedelta(seconds=index / rate)
        delivery = _release(item["id"], at, now, give_up=deleted)
        if delivery and not delivery.blocked and delivery.state is State.PENDING:
            ready.append(
                (Message(task=Task.DELIVER, webhook_id=webhook_id, delivery_id=delivery.delivery_id), at)
            )
    queue.send(ready, now)
    if not paused and endpoint_store.total(endpoint_store.shards([webhook_id])[webhook_id])["paused"] == 0:
        aws.write(aws.delete_write(delivery_store.TABLE, task_key(webhook_id, Task.DRAIN)))
        return 0
    # The index lags behind the counters if it finds nothing: look again later.
    again = now + (timedelta(seconds=math.ceil(len(paused) / rate)) if paused else _CHECK_AGAIN)
    aws.write(plan_task_write(webhook_id, Task.DRAIN, again + delivery_store.GRACE))
    queue.send([(Message(task=Task.DRAIN, webhook_id=webhook_id), again)], now)
    return len(paused)


def probe(webhook_id: int, dependencies: "Dependencies", attempt: Attempt) -> str:
    """Tries a disabled endpoint with its oldest paused delivery.

    Returns the outcome as one word for the log.
    """
    now = dependencies.clock()
    task = aws.get(delivery_store.TABLE, task_key(webhook_id, Task.PROBE))
    webhook = endpoint_store.get(webhook_id)
    if task is None or task["look_at"] > stamp(now):
        return "nothing_due"
    if (
        webhook is None
        or webhook.status is not Status.DISABLED
        or not is_permitted(webhook, entitlement.Owners(), now)
    ):
        aws.write(aws.delete_write(delivery_store.TABLE, task_key(webhook_id, Task.PROBE)))
        return "nothing_due"
    probes = int(task["probes"]) + 1
    next_probe_at = now + schedule.probe_delay(probes, dependencies.jitter())
    try:
        item = dict(task) | delivery_store.due_attributes(task["id"], next_probe_at) | {"probes": probes}
        aws.write(aws.put_write(delivery_store.TABLE, item, "look_at = :seen", seen=task["look_at"]))
    except aws.WriteRefused:
        return "nothing_due"  # another worker makes this probe
    paused = aws.query_all(delivery_store.TABLE, "paused_for = :id", index="paused", id=webhook_id)
    for item in paused:
        delivery = delivery_store.get(item["id"])
        if delivery is None or delivery.state is not State.PAUSED or delivery.blocked:
            continue
        try:
            _, delivered = attempt(delivery, webhook, dependencies)
        except delivery_store.Changed:
            continue
        if delivered:
            switch_on(endpoint_store.get(webhook_id) or webhook, dependencies.clock())
        return "recovered" if delivered else "still_failing"
    return "nothing_held"


def _release(delivery_id: str, at: datetime, now: datetime, *, give_up: bool) -> Delivery | None:
    for _ in range(5):
        delivery = delivery_store.get(delivery_id)
        if delivery is None or delivery.state is not State.PAUSED:
            return None
        try:
            if give_up:
                return delivery_store.change(delivery, now, state=State.DEAD, error="webhook_deleted")
            look_at = None if delivery.blocked else at + delivery_store.GRACE
            # The schedule starts over: the endpoint was down during the earlier tries and their time.
            return delivery_store.change(delivery, now, state=State.PENDING, look_at=look_at, **_ANEW)
        except delivery_store.Changed:
            continue
    return None
