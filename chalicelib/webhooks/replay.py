"""Sending again on request. A replay is the same delivery under the same `webhook-id`.

Its retries begin anew.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from chalicelib import aws
from chalicelib.errors import Conflict
from chalicelib.webhooks import delivery_store, endpoint_store, queue
from chalicelib.webhooks.fan_out import message
from chalicelib.webhooks.models import Delivery, State, Webhook

_TRIES = 5


def replay(delivery_ids: Iterable[str], webhook: Webhook, now: datetime) -> int:
    """Sends deliveries again; returns how many. One that is being attempted right now is left alone."""
    ready = []
    for delivery_id in delivery_ids:
        try:
            delivery = _again(delivery_id, webhook, now)
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
    """Sends a delivery again; one of an endpoint that is switched off is paused until it is back.

    Raises:
        Conflict: An attempt is being made right now.
    """
    delivery = _again(delivery_id, webhook, now)
    if delivery is None:
        raise Conflict("delivery_in_progress")
    if delivery.state is State.PENDING and not delivery.blocked:
        queue.send([(message(delivery), now)], now)
    return delivery


def _again(delivery_id: str, webhook: Webhook, now: datetime) -> Delivery | None:
    for _ in range(_TRIES):
        delivery = delivery_store.get(delivery_id)
        if delivery is None:
            return None
        if delivery.claimed_until and delivery.claimed_until > now:
            raise Conflict("delivery_in_progress")
        if delivery.state is State.PAUSED or delivery.blocked:
            return delivery
        anew: dict[str, Any] = {
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
                    delivery, now, state=State.PENDING, look_at=now + delivery_store.GRACE, **anew
                )
            return delivery_store.change(
                delivery, now, endpoint_store.not_active_write(webhook.webhook_id), state=State.PAUSED, **anew
            )
        except delivery_store.Changed:
            continue
        except aws.WriteRefused:
            webhook = endpoint_store.get(webhook.webhook_id) or webhook  # switched on or off meanwhile
    raise Conflict("changed_meanwhile")
