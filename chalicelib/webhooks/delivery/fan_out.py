"""Turns an event into one delivery per subscription that wants the event."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from chalicelib.events.models import ADMIN_STREAM, LoggedEvent, user_stream
from chalicelib.users import entitlement
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.delivery import circuit_breaker, lag, queue
from chalicelib.webhooks.delivery.create_deliveries import MOST, create_deliveries
from chalicelib.webhooks.delivery.queue import Message, Task
from chalicelib.webhooks.filters import is_wanted
from chalicelib.webhooks.models import Delivery, State, Webhook

_THREADS = 8


def fan_out(event: LoggedEvent, now: datetime) -> int:
    """Creates the deliveries of one event and returns their number. See `fan_out_all`."""
    return fan_out_all([event], now)[event.event_id]


def fan_out_all(events: Sequence[LoggedEvent], now: datetime) -> dict[str, int]:
    """Creates the deliveries of events of one stream, and queues those that can go.

    Returns the number of deliveries by event.

    A second call queues only deliveries that still wait for their first attempt. The events of a stream must
    arrive in order, one batch at a time: `X-Webhook-Sequence` and the order within an ordering key depend on
    it. A subscription gets no event from before its creation.

    Raises:
        Retryable: Not all deliveries were created. Call again.
    """
    stream = events[0].stream
    owners = entitlement.Owners()
    for user_id in {
        event.user_id
        for event in events
        if event.type in entitlement.CHANGES and stream == ADMIN_STREAM and event.user_id
    }:
        _switch_off_unentitled(user_id, owners, now)
    webhooks = [
        webhook
        for webhook in endpoint_store.list_page(stream)
        if circuit_breaker.is_permitted(webhook, owners, now)
    ]
    placed: dict[str, int] = {event.event_id: 0 for event in events}
    for start in range(0, len(events), MOST):
        deliveries = _create(events[start : start + MOST], webhooks, now)
        for delivery in deliveries:
            placed[delivery.event_id] += 1
        ready = [
            each
            for each in deliveries
            if each.state is State.PENDING and not each.attempts and not each.blocked
        ]
        queue.send([(message(delivery), now) for delivery in ready], now)
    if webhooks:
        lag.note(stream, max(event.sequence for event in events))
    return placed


def _switch_off_unentitled(user_id: str, owners: entitlement.Owners, now: datetime) -> None:
    """Disables the subscriptions that a user may no longer read, without waiting for the next event."""
    for stream in (ADMIN_STREAM, user_stream(user_id)):
        for webhook in endpoint_store.list_page(stream):
            if webhook.owner == user_id and webhook.is_active:
                circuit_breaker.is_permitted(webhook, owners, now)


def message(delivery: Delivery) -> Message:
    """Returns the task that makes an attempt at a delivery."""
    return Message(task=Task.DELIVER, webhook_id=delivery.webhook_id, delivery_id=delivery.delivery_id)


def _create(events: Sequence[LoggedEvent], webhooks: Sequence[Webhook], now: datetime) -> list[Delivery]:
    wanted = [(webhook, [event for event in events if _wants(webhook, event)]) for webhook in webhooks]
    wanted = [(webhook, theirs) for webhook, theirs in wanted if theirs]
    if len(wanted) == 1:
        [(webhook, theirs)] = wanted
        return create_deliveries(theirs, webhook, now)
    with ThreadPoolExecutor(_THREADS) as pool:
        return [
            delivery
            for made in pool.map(lambda pair: create_deliveries(pair[1], pair[0], now), wanted)
            for delivery in made
        ]


def _wants(webhook: Webhook, event: LoggedEvent) -> bool:
    return event.timestamp >= webhook.created_at and is_wanted(
        webhook.event_types, webhook.filter, event.type, event.payload
    )
