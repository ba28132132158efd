"""Events that notify an owner about an endpoint and its deliveries."""

from datetime import datetime
from typing import Any

from chalicelib import aws
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.webhooks.models import Delivery, Webhook, stamp

DELIVERY_DEAD = "webhook.delivery_dead"


def webhook_event(type_: str, webhook: Webhook, now: datetime, *parts: str, **more: Any) -> Event:
    """Returns an event about an endpoint.

    Args:
        parts: Distinguishes events of one type about one endpoint. Default: the time.
    """
    entity = f"webhook#{webhook.webhook_id}"
    return Event(
        event_id=event_id(type_, entity, *(parts or (stamp(now),))),
        type=type_,
        payload={"webhook_id": webhook.webhook_id, "name": webhook.name, **more},
        entity=entity,
        user_id=webhook.owner,
        created_at=now,
    )


def delivery_dead(
    webhook: Webhook, delivery: Delivery, now: datetime, *, status: int | None, error: str | None
) -> list[aws.Write]:
    """Returns the write of the event that a delivery was given up.

    Returns an empty list if the delivery carries such an event itself: each would cause the next.
    """
    if delivery.type == DELIVERY_DEAD:
        return []
    event = webhook_event(
        DELIVERY_DEAD,
        webhook,
        now,
        delivery.delivery_id,
        str(delivery.attempts),
        delivery_id=delivery.delivery_id,
        event_id=delivery.event_id,
        event_type=delivery.type,
        attempts=delivery.attempts,
        response_status=status,
        error=error,
    )
    return [outbox.event_write(event)]
