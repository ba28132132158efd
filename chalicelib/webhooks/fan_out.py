"""An event becomes one delivery for each subscription that wants it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from chalicelib.events.models import ADMIN_STREAM, LoggedEvent, user_stream
from chalicelib.users import entitlement
from chalicelib.webhooks import hold, ledger, queue, store
from chalicelib.webhooks.match import wants
from chalicelib.webhooks.models import Delivery, State, Webhook
from chalicelib.webhooks.queue import Message, Task

_THREADS = 8


def fan_out(event: LoggedEvent, now: datetime) -> int:
    """Places the event's deliveries and queues those that can go; returns how many there are.

    Told twice, it queues again only what is still waiting for its first attempt. The events of a stream have to come in order,
    one at a time: that is what makes `X-Webhook-Sequence` and the order within an entity follow the stream.

    Raises:
        Retryable: Not all could be placed; call again.
    """
    owners = entitlement.Owners()
    if event.type in entitlement.CHANGES and event.stream == ADMIN_STREAM and event.user_id:
        _switch_off_unentitled(event.user_id, owners, now)
    wanting = [webhook for webhook in store.listed(event.stream) if wants(webhook.event_types, webhook.filter, event.type, event.payload)]
    permitted = [webhook for webhook in wanting if hold.is_permitted(webhook, owners, now)]
    placed = [delivery for delivery in _place_all(event, permitted, now) if delivery]
    ready = [delivery for delivery in placed if delivery.state is State.PENDING and not delivery.attempts and not delivery.waits]
    queue.send([(message(delivery), now) for delivery in ready], now)
    return len(placed)


def _switch_off_unentitled(user_id: str, owners: entitlement.Owners, now: datetime) -> None:
    """Switches off what a user subscribed to and may no longer read, without waiting for its next event."""
    for stream in (ADMIN_STREAM, user_stream(user_id)):
        for webhook in store.listed(stream):
            if webhook.owner == user_id and webhook.is_active:
                hold.is_permitted(webhook, owners, now)


def message(delivery: Delivery) -> Message:
    """The task of making an attempt at a delivery."""
    return Message(task=Task.DELIVER, webhook_id=delivery.webhook_id, delivery_id=delivery.delivery_id)


def _place_all(event: LoggedEvent, webhooks: list[Webhook], now: datetime) -> list[Delivery | None]:
    if len(webhooks) == 1:
        return [ledger.place(event, webhooks[0], now)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda webhook: ledger.place(event, webhook, now), webhooks))
