"""Replays deliveries on request. A replay is the same delivery under the same `webhook-id`.

Its retries start over.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from chalicelib import aws
from chalicelib.errors import Conflict
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.delivery import delivery_store, queue
from chalicelib.webhooks.delivery.fan_out import message
from chalicelib.webhooks.models import Delivery, State, Webhook

_TRIES = 5


def replay(delivery_ids: Iterable[str], webhook: Webhook, now: datetime) -> int:
    """Replays deliveries and returns their number. Skips a delivery with an attempt in progress."""
    ready = []
    for delivery_id in delivery_ids:
        try:
            delivery = _replay_if_idle(delivery_id, webhook, now)
        except Conflict:
            continue
        ready += [delivery] if delivery else []
    queue.send(
        [
            (message(delivery), now)
            for delivery in ready
            if delivery.state is State.PENDING and not delivery.blocked
        ],
        now,
    )
    return len(ready)


def replay_one(delivery_id: str, webhook: Webhook, now: datetime) -> Delivery:
    """Replays a delivery. Pauses it if the endpoint is not active.

    Raises:
        Conflict: An attempt is in progress.
    """
    delivery = _replay_if_idle(delivery_id, webhook, now)
    if delivery is None:
        raise Conflict("delivery_in_progress")
    if delivery.state is State.PENDING and not delivery.blocked:
        queue.send([(message(delivery), now)], now)
    return delivery


def _replay_if_idle(delivery_id: str, webhook: Webhook, now: datetime) -> Delivery | None:
    for _ in range(_TRIES):
        delivery = delivery_store.get(delivery_id)
        if delivery is None:
            return None
        if delivery.claimed_until and delivery.claimed_until > now:
            raise Conflict("delivery_in_progress")
        if delivery.state is State.PAUSED or delivery.blocked:
            return delivery
        sets: dict[str, Any] = {
            "tries": 0,
            "next_retry_at": None,
            "claimed_until": None,
            "delivered_at": None,
            "first_attempt_at": None,
            "failed": False,
        }
        try:
            if webhook.is_active:
                return delivery_store.change(
                    delivery, now, state=State.PENDING, look_at=now + delivery_store.GRACE, **sets
                )
            return delivery_store.change(
                delivery, now, endpoint_store.not_active_write(webhook.webhook_id), state=State.PAUSED, **sets
            )
        except delivery_store.Changed:
            continue
        except aws.WriteRefused:
            webhook = endpoint_store.get(webhook.webhook_id) or webhook  # its status may have changed
    raise Conflict("changed_meanwhile")
