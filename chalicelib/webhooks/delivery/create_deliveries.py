"""Turns events into deliveries to one subscription: one transaction per batch, in stream order."""

from collections.abc import Sequence
from datetime import datetime

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.events.models import LoggedEvent
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.delivery import delivery_store
from chalicelib.webhooks.models import Delivery, State, Status, Webhook, canonical, stamp

MOST = 10
"""The most events of one transaction: at most 256 KB each, and DynamoDB takes 4 MB."""
_TRIES = 6


def create_deliveries(events: Sequence[LoggedEvent], webhook: Webhook, now: datetime) -> list[Delivery]:
    """Creates the deliveries of these events to this subscription, or returns the existing ones.

    Returns an empty list if the subscription is gone.

    Args:
        events: At most `MOST` events of one stream, in stream order.

    Raises:
        Retryable: Other writers use the same items.
    """
    for _ in range(_TRIES):
        made, writes = _plan(events, webhook, now)
        try:
            if writes:
                delivery_store.transact(writes)
        except aws.WriteRefused as refused:
            if not webhook.is_active and refused.failed[-1] is not None:
                if refused.failed[-1].get("status") in (None, Status.DELETED):
                    return []
                webhook = endpoint_store.from_item(refused.failed[-1])
            continue
        return made
    raise Retryable("deliveries not created: their items are contended")


def _plan(
    events: Sequence[LoggedEvent], webhook: Webhook, now: datetime
) -> tuple[list[Delivery], list[aws.Write]]:
    """Returns all deliveries, and the writes of those that do not exist yet.

    If there is a condition on the subscription, it is the last write.
    """
    webhook_id = webhook.webhook_id
    ids = [delivery_store.delivery_id(webhook_id, event.event_id) for event in events]
    orderings = {
        event.entity: delivery_store.key(f"ordering#{webhook_id}#{event.entity}", "ordering")
        for event in events
    }
    counter_key = endpoint_store.key(webhook_id, "sequence")
    keys = [
        *((delivery_store.TABLE, delivery_store.key(id_)) for id_ in ids),
        *((delivery_store.TABLE, ordering) for ordering in orderings.values()),
    ]
    *found, counter = aws.get_many([*keys, ("webhooks", counter_key)])
    existing, tails = found[: len(ids)], [item["tail"] for item in found[len(ids) :] if item]
    stored = map(
        delivery_store.from_item,
        filter(
            None,
            aws.get_many([(delivery_store.TABLE, delivery_store.key(tail)) for tail in tails])
            if tails
            else [],
        ),
    )
    newest = {delivery.entity: delivery for delivery in stored}
    first = last = int(counter["last"]) if counter else 0
    made: dict[str, Delivery] = {}
    new: set[str] = set()
    followed: list[aws.Write] = []
    for id_, event, item in zip(ids, events, existing, strict=True):
        if id_ in made:
            continue
        if item:
            made[id_] = delivery_store.from_item(item)
            continue
        before = newest.get(event.entity)
        blocked = (
            before is not None and not before.attempted and before.state in (State.PENDING, State.PAUSED)
        )
        if blocked and before and before.delivery_id in new:
            made[before.delivery_id] = before.model_copy(update={"next_delivery_id": id_})
        elif blocked and before:
            followed.append(delivery_store.follow(before, id_))
        last += 1
        made[id_] = newest[event.entity] = _new(id_, event, webhook, last, now, blocked=blocked)
        new.add(id_)
    deliveries = list(made.values())
    if not new:
        return deliveries, []
    counted = "#last = :seen" if counter else "attribute_not_exists(#last)"
    seen = {"seen": first} if counter else {}
    writes = [
        aws.put_write(delivery_store.TABLE, _item(made[id_], now), "attribute_not_exists(id)")
        for id_ in made
        if id_ in new
    ]
    writes.append(aws.update_write("webhooks", counter_key, "SET #last = :new", counted, new=last, **seen))
    forget_at = int((now + delivery_store.KEPT).timestamp())
    tail_of = {made[id_].entity: id_ for id_ in made if id_ in new}
    writes += [
        aws.put_write(delivery_store.TABLE, orderings[entity] | {"tail": id_, "forget_at": forget_at})
        for entity, id_ in tail_of.items()
    ]
    state = State.PENDING if webhook.is_active else State.PAUSED
    writes.append(
        endpoint_store.counters_write(
            webhook_id, next(iter(tail_of.values())), {"matched": len(new), state.value: len(new)}, now
        )
    )
    writes += followed
    if state is State.PAUSED:
        writes.append(endpoint_store.not_active_write(webhook_id))
    return deliveries, writes


def _new(
    id_: str, event: LoggedEvent, webhook: Webhook, sequence: int, now: datetime, *, blocked: bool
) -> Delivery:
    return Delivery(
        delivery_id=id_,
        webhook_id=webhook.webhook_id,
        placed=f"{stamp(now)}#{sequence:012d}",
        sequence=sequence,
        event_id=event.event_id,
        type=event.type,
        entity=event.entity,
        timestamp=event.timestamp,
        event=canonical(event.payload),
        state=State.PENDING if webhook.is_active else State.PAUSED,
        version=1,
        blocked=blocked,
        next_retry_at=None,
    )


def _item(delivery: Delivery, now: datetime) -> aws.Item:
    item = delivery_store.item_of(delivery)
    if delivery.state is State.PAUSED:
        return item | {"paused_for": delivery.webhook_id}
    return (
        item
        if delivery.blocked
        else item | delivery_store.due_attributes(delivery.delivery_id, now + delivery_store.GRACE)
    )
