"""The items of the `deliveries` table, and every change a delivery goes through.

    {delivery_id}   delivery      one event for one subscription
    {delivery_id}   attempt#0001  one attempt at it
    ordering#12#order#7 lane          the newest delivery to subscription 12 about order#7
    webhook#12      drain, probe  work that is due for a subscription: release what is paused; try a switched-off endpoint

A change names the version it saw and moves the books in the same transaction, so that of two who change a
delivery at once one starts over, and matched = delivered + pending + paused + dead at all times.

Order: the first attempts for one entity form a chain. A delivery placed while the one before it has not had
its first attempt `blocked`, and is that one's `next_delivery_id`; the change that ends the first attempt lets
the next delivery go, in the same transaction.

`look_at`, with `due_shard`, is when the minute sweep has to look at an item: at once due where nobody else
will send it, some minutes after it should have been done where a queue message is under way.
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
GRACE = timedelta(minutes=3)  # a queue message that has not done its work by then is taken for lost
QUEUE_REACH = timedelta(minutes=15)  # the longest delay SQS has
KEPT = timedelta(days=30)
_TRIES = 6


class Changed(Exception):
    """The delivery is no longer as it was read.

    Attributes:
        now: As it stands; None if it has gone.
    """

    def __init__(self, now: Delivery | None) -> None:
        super().__init__("the delivery has been changed since it was read")
        self.now = now


def delivery_id(webhook_id: int, event_id: str) -> str:
    """The id of this event's delivery to this subscription.

    No dot, which Standard Webhooks forbids in an id.
    """
    return "msg_" + hashlib.sha256(f"{webhook_id}:{event_id}".encode()).hexdigest()[:32]


def key(id_: str, part: str = "delivery") -> dict[str, str]:
    """The key of an item."""
    return {"id": id_, "part": part}


def get(id_: str) -> Delivery | None:
    """A delivery."""
    item = aws.get(TABLE, key(id_))
    return from_item(item) if item else None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a delivery that is to be written.

    Attributes:
        after: The delivery as it will stand.
        writes: The delivery's own first, then what belongs to it.
        moved: What it moves in the books of its subscription.
    """

    after: Delivery
    writes: tuple[aws.Write, ...]
    moved: Mapping[str, int]


def plan_change(
    delivery: Delivery, now: datetime, *also: aws.Write, look_at: datetime | None = None, **sets: Any
) -> Change:
    """A change of a delivery.

    Args:
        delivery: As it was read.
        also: Writes that belong to the change.
        look_at: When the sweep shall look; None when there is nothing to look for.
    """
    sets = {
        name: from_stored(value) if isinstance(value, datetime) else value for name, value in sets.items()
    }
    values = {name: value for name, value in sets.items() if value is not None}
    gone = {name for name, value in sets.items() if value is None}
    after = delivery.model_copy(update=sets | {"version": delivery.version + 1})
    item = _stored(values)
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
    moved.update({after.state.value: 1, "failing": _failing(after) - _failing(delivery)})
    return Change(after, tuple(writes), moved)


def change(
    delivery: Delivery, now: datetime, *also: aws.Write, look_at: datetime | None = None, **sets: Any
) -> Delivery:
    """Changes a delivery, arguments as for `plan`, and moves the books with it.

    Raises:
        Changed: Somebody was faster.
        WriteRefused: A condition among `also` did not hold.
    """
    planned = plan_change(delivery, now, *also, look_at=look_at, **sets)
    write(planned, now)
    return planned.after


def write(planned: Change, now: datetime) -> None:
    """Writes a change and moves the books with it; raises what `change` does."""
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
    """Writes changes of several deliveries in one transaction, up to ten.

    False, and nothing is written, where it cannot be.
    """
    try:
        aws.transact(_with_counters(changes, now))
    except (aws.WriteRefused, Retryable):
        return False
    return True


def attempt_write(id_: str, number: int, item: Mapping[str, Any], now: datetime) -> aws.Write:
    """The record of an attempt."""
    return aws.put_write(
        TABLE,
        key(id_, f"attempt#{number:04d}") | dict(item) | {"forget_at": int((now + 3 * KEPT).timestamp())},
    )


def transact(writes: Sequence[aws.Write]) -> None:
    """A transaction, tried again while others are at the same items.

    Raises WriteRefused, or Retryable in the end.
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
    """The attributes that put an item into the due-time index."""
    return {"due_shard": f"due#{zlib.crc32(id_.encode()) % DUE_SHARDS}", "look_at": stamp(look_at)}


def follow(delivery: Delivery, next_delivery_id: str) -> aws.Write:
    """Chains a delivery behind one of the same entity that has not had its first attempt.

    Refused if that one has changed.
    """
    return _update_write(delivery, {"next_delivery_id": next_delivery_id}, ())


def item_of(delivery: Delivery) -> aws.Item:
    """A delivery as it is stored, without what places it into the indexes."""
    return key(delivery.delivery_id) | _stored(
        delivery.model_dump(exclude={"delivery_id"}, exclude_none=True)
    )


def from_item(item: Mapping[str, Any]) -> Delivery:
    """A stored delivery."""
    return Delivery.model_validate({**item, "delivery_id": item["id"]})


def _with_counters(changes: Sequence[Change], now: datetime) -> list[aws.Write]:
    """The writes of changes, and the books of each subscription moved once for all of them."""
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
    """Whether what follows it on its entity may go."""
    return delivery.attempted or delivery.state in (State.DELIVERED, State.DEAD)


def _failing(delivery: Delivery) -> int:
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


def _stored(values: Mapping[str, Any]) -> aws.Item:
    return {
        name: stamp(value)
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, State)
        else value
        for name, value in values.items()
    }
