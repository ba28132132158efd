"""The items of the `deliveries` table, and every change of a delivery.

    {delivery_id}       delivery      one event for one subscription
    {delivery_id}       attempt#0001  one attempt at the delivery
    ordering#12#order#7 lane          the newest delivery to subscription 12 about order#7
    webhook#12          drain, probe  due work of a subscription: release the backlog; probe the endpoint

Concurrency: a change names the version it read and moves the counters in the same transaction. Of two
concurrent writers, one starts over. Matched = delivered + pending + paused + dead at all times.

Order: the first attempts of one ordering key form a chain. A delivery that is created before the previous one
has had its first attempt is `blocked`, and is that delivery's `next_delivery_id`. The change that ends the
first attempt unblocks the next delivery in the same transaction.

Sweeper: `look_at`, with `due_shard`, is when the sweeper must look at an item. This is the due time if no
queue message is under way, else some minutes after the message should have done its work.
"""

import hashlib
import random
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.models import Delivery, State, from_stored, stamp

TABLE = "deliveries"
DUE_SHARDS = 8
GRACE = timedelta(minutes=3)  # a queue message that has not done its work by then counts as lost
QUEUE_REACH = timedelta(minutes=15)  # SQS's longest delay
KEPT = timedelta(days=30)
_TRIES = 6


class Changed(Exception):
    """The delivery was modified concurrently.

    Attributes:
        now: The current delivery. None if it no longer exists.
    """

    def __init__(self, now: Delivery | None) -> None:
        super().__init__("the delivery has been changed since it was read")
        self.now = now


def delivery_id(webhook_id: int, event_id: str) -> str:
    """Returns the id of this event's delivery to this subscription.

    The id has no dot: Standard Webhooks forbids dots.
    """
    return "msg_" + hashlib.sha256(f"{webhook_id}:{event_id}".encode()).hexdigest()[:32]


def key(id_: str, part: str = "delivery") -> dict[str, str]:
    """Returns the key of an item."""
    return {"id": id_, "part": part}


def get(id_: str) -> Delivery | None:
    """Returns a delivery, or None if there is none."""
    item = aws.get(TABLE, key(id_))
    return from_item(item) if item else None


@dataclass(frozen=True, slots=True)
class Change:
    """A planned change of a delivery.

    Attributes:
        after: The delivery after the change.
        writes: The delivery's own write first, then the writes that belong to it.
        moved: The change of the subscription's counters.
    """

    after: Delivery
    writes: tuple[aws.Write, ...]
    moved: Mapping[str, int]


def plan_change(
    delivery: Delivery, now: datetime, *also: aws.Write, look_at: datetime | None = None, **sets: Any
) -> Change:
    """Plans a change of a delivery.

    Args:
        delivery: The delivery as it was read.
        also: Writes that belong to the change.
        look_at: When the sweeper must look at the delivery. None if it need not.
    """
    sets = {
        name: from_stored(value) if isinstance(value, datetime) else value for name, value in sets.items()
    }
    values = {name: value for name, value in sets.items() if value is not None}
    gone = {name for name, value in sets.items() if value is None}
    after = delivery.model_copy(update=sets | {"version": delivery.version + 1})
    item = _stored_values(values)
    if look_at is None:
        gone |= {"look_at", "due_shard"}
    else:
        item |= due_attributes(delivery.delivery_id, look_at)
    if after.state is State.PAUSED:
        item["paused_for"] = delivery.webhook_id
    else:
        gone.add("paused_for")
    if after.state in (State.DELIVERED, State.DEAD):
        item["forget_at"] = int((now + KEPT).timestamp())
    else:
        gone.add("forget_at")
    writes = [_update_write(delivery, item, gone), *also]
    if _is_unblocking(after) and not _is_unblocking(delivery) and delivery.next_delivery_id:
        writes.append(_unblock_write(delivery.next_delivery_id, now))
    moved = Counter({delivery.state.value: -1})
    moved.update({after.state.value: 1, "failing": _failing_count(after) - _failing_count(delivery)})
    return Change(after, tuple(writes), moved)


def change(
    delivery: Delivery, now: datetime, *also: aws.Write, look_at: datetime | None = None, **sets: Any
) -> Delivery:
    """Changes a delivery and its counters. Takes the arguments of `plan_change`.

    Raises:
        Changed: The delivery was modified concurrently.
        WriteRefused: A condition among `also` did not hold.
    """
    planned = plan_change(delivery, now, *also, look_at=look_at, **sets)
    write(planned, now)
    return planned.after


def write(planned: Change, now: datetime) -> None:
    """Writes a change and moves the counters. Raises the errors of `change`."""
    writes = _with_counters([planned], now)
    try:
        if len(writes) == 1:
            aws.write(writes[0])
        else:
            transact(writes)
    except aws.WriteRefused as refused:
        if refused.failed[0] is None:
            raise
        raise Changed(from_item(refused.failed[0]) if refused.failed[0] else None) from refused


def change_together(changes: Sequence[Change], now: datetime) -> bool:
    """Writes changes of up to ten deliveries in one transaction.

    Returns False, with nothing written, if the transaction fails.
    """
    try:
        aws.transact(_with_counters(changes, now))
    except (aws.WriteRefused, Retryable):
        return False
    return True


def attempt_write(id_: str, number: int, item: Mapping[str, Any], now: datetime) -> aws.Write:
    """Returns the write of an attempt's record."""
    return aws.put_write(
        TABLE,
        key(id_, f"attempt#{number:04d}") | dict(item) | {"forget_at": int((now + 3 * KEPT).timestamp())},
    )


def transact(writes: Sequence[aws.Write]) -> None:
    """Runs a transaction and retries it while other writers use the same items.

    Raises WriteRefused, or Retryable after the last retry.
    """
    for again in range(_TRIES):
        try:
            aws.transact(writes)
        except Retryable:
            if again == _TRIES - 1:
                raise
            time.sleep(random.random() * 0.02 * 2**again)  # noqa: S311 - spreads contenders, keeps no secret
        else:
            return


def due_attributes(id_: str, look_at: datetime) -> dict[str, str]:
    """Returns the attributes that put an item into the due-time index."""
    return {"due_shard": f"due#{zlib.crc32(id_.encode()) % DUE_SHARDS}", "look_at": stamp(look_at)}


def follow(delivery: Delivery, next_delivery_id: str) -> aws.Write:
    """Returns the write that chains a delivery behind one that has not had its first attempt.

    The write is refused if the earlier delivery has changed.
    """
    return _update_write(delivery, {"next_delivery_id": next_delivery_id}, ())


def item_of(delivery: Delivery) -> aws.Item:
    """Returns a delivery as a stored item, without the index attributes."""
    return key(delivery.delivery_id) | _stored_values(
        delivery.model_dump(exclude={"delivery_id"}, exclude_none=True)
    )


def from_item(item: Mapping[str, Any]) -> Delivery:
    """Returns the delivery in a stored item."""
    return Delivery.model_validate({**item, "delivery_id": item["id"]})


def _with_counters(changes: Sequence[Change], now: datetime) -> list[aws.Write]:
    """Returns the writes of changes, with one counter write per subscription."""
    first: dict[int, Delivery] = {}
    moved: dict[int, Counter[str]] = {}
    for each in changes:
        first.setdefault(each.after.webhook_id, each.after)
        moved.setdefault(each.after.webhook_id, Counter()).update(each.moved)
    writes = [write for each in changes for write in each.writes]
    for webhook_id, columns in moved.items():
        if any(columns.values()):
            writes.append(
                endpoint_store.counters_write(webhook_id, first[webhook_id].delivery_id, columns, now)
            )
    return writes


def _is_unblocking(delivery: Delivery) -> bool:
    """Returns whether the next delivery of the same ordering key may go."""
    return delivery.attempted or delivery.state in (State.DELIVERED, State.DEAD)


def _failing_count(delivery: Delivery) -> int:
    return int(delivery.status == "failed")


def _update_write(delivery: Delivery, sets: Mapping[str, Any], removes: Iterable[str]) -> aws.Write:
    sets = {**sets, "version": delivery.version + 1}
    names = [name for name in removes if name not in sets]
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in sets)
    if names:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in names)
    return aws.update_write(
        TABLE, key(delivery.delivery_id), expression, "#version = :seen", seen=delivery.version, **sets
    )


def _unblock_write(next_delivery_id: str, now: datetime) -> aws.Write:
    sets = due_attributes(next_delivery_id, now + GRACE)
    return aws.update_write(
        TABLE,
        key(next_delivery_id),
        "SET blocked = :no, due_shard = :shard, look_at = :at ADD #version :one",
        "attribute_exists(id)",
        no=False,
        shard=sets["due_shard"],
        at=sets["look_at"],
        one=1,
    )


def _stored_values(values: Mapping[str, Any]) -> aws.Item:
    return {
        name: stamp(value)
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, State)
        else value
        for name, value in values.items()
    }
