"""From the outbox to the streams: number, log, topic.

The outbox is partitioned by owner. All events of one owner, and so of each entity, come through one shard of
the table's stream, in order, one batch at a time. Several shards, of different owners, publish concurrently
and share only the admins' stream.

Steps of a batch:

- One update of a stream's counter reserves the numbers and notes in the counter which event has which.
  Updates of one item wait for each other and never conflict, unlike transactions.
- The log entries are written.
- The events go to the topic.
- The outbox items are deleted, then the counter's notes.

A crash at any point leaves a mark of the progress, and the next try continues there. An event has one number
in each stream, is published at least once, and its duplicates carry the same number. If two publishers have
the same event and one is so slow that the other has finished, the event stands in the stream twice, under the
same id. A stream never has a gap.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.events import topic
from chalicelib.events.models import Event, LoggedEvent, signal_ids
from chalicelib.telemetry import log

LOG_KEPT = timedelta(days=30)
BATCH = 24  # events numbered in one update, whose expressions may have 4 KB
# Prefix of the counter's notes. The event id follows. A note keeps the number of an event that is not
# published yet.
NUMBERED = "event_"

OutboxKey = tuple[str, str]

_LOOKED_AT = 100  # events of one owner in the outbox
_TRIES = 12


def publish(keys: Sequence[OutboxKey]) -> int:
    """Publishes the events of these owners and ids that are still in the outbox. Returns their number.

    The owners' other events are published, too: events of one transaction may stand in the table's stream in
    any order.

    Raises:
        Retryable: DynamoDB or the topic did not take all events.
    """
    return _publish(keys, _owner_events)


def _publish(keys: Sequence[OutboxKey], find: Callable[[Sequence[OutboxKey]], list[Event]]) -> int:
    published = 0
    for start in range(0, len(keys), BATCH):
        events = _publication_order(find(list(dict.fromkeys(keys[start : start + BATCH]))))
        for first in range(0, len(events), BATCH):
            _publish_batch(events[first : first + BATCH])
        published += len(events)
    return published


def sweep(older_than: timedelta, now: datetime) -> int:
    """Publishes overdue events, after a lost stream record or a publisher's crash. Returns their number."""
    before = (now - older_than).isoformat()
    condition = "unpublished = :shard AND created_at < :before"
    waiting = [
        item
        for shard in aws.SHARDS
        for item in aws.query_all("outbox", condition, index="unpublished", shard=shard, before=before)
    ]
    keys = [
        (item["owner"], item["event_id"])
        for item in sorted(waiting, key=lambda item: str(item["created_at"]))
    ]
    return _publish(keys, _outbox_events)  # newer events are with their own publisher


def _owner_events(keys: Sequence[OutboxKey]) -> list[Event]:
    """Returns the events of these keys, and their owners' other events up to a limit."""
    events: dict[str, Event] = {}
    asked_for: list[OutboxKey] = []
    for owner in dict.fromkeys(owner for owner, _ in keys):
        items, more = aws.query_page(
            "outbox", "#owner = :owner", owner=owner, limit=_LOOKED_AT, consistent=True
        )
        events |= {item["event_id"]: Event.model_validate(item) for item in items}
        if more:
            asked_for += [key for key in keys if key[0] == owner and key[1] not in events]
    return [*events.values(), *_outbox_events(asked_for)]


def _outbox_events(keys: Sequence[OutboxKey]) -> list[Event]:
    """Returns the events of these keys that are still in the outbox."""
    items = aws.get_many([("outbox", _key(*key)) for key in keys]) if keys else []
    return [Event.model_validate(item) for item in items if item]


def _publication_order(events: Sequence[Event]) -> list[Event]:
    """Returns the events by creation time, but those of one entity by version.

    Clocks may disagree. Versions do not. The events of one transaction share a time. The names of their types
    then decide, which puts `ticket.created` before `ticket.message_added`, and `payment.completed` before
    `transaction.created`.
    """
    by_time = sorted(events, key=lambda event: (event.created_at, event.type))
    entities: dict[str, list[Event]] = defaultdict(list)
    for event in by_time:
        entities[event.entity].append(event)
    in_turn = {
        entity: iter(sorted(of_it, key=lambda event: event.version)) for entity, of_it in entities.items()
    }
    return [next(in_turn[event.entity]) for event in by_time]


def _publish_batch(events: Sequence[Event]) -> None:
    numbers = {stream: _numbers(stream, of_it) for stream, of_it in _by_stream(events).items()}
    logged = [
        _entry(event, stream, numbers[stream][event.event_id]) for event in events for stream in event.streams
    ]
    aws.put_many("events", [_log_item(entry) for entry in logged])
    topic.publish_to_topic(sorted(logged, key=lambda entry: entry.sequence))
    aws.delete_many("outbox", [_key(event.owner, event.event_id) for event in events])
    for stream, given in numbers.items():
        _forget(stream, given)
    types = sorted({event.type for event in events})
    log.info(
        "events published",
        extra={"events": len(events), "types": types, "signal_ids": signal_ids(e.payload for e in events)},
    )


def _by_stream(events: Sequence[Event]) -> dict[str, list[Event]]:
    streams: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        for stream in event.streams:
            streams[stream].append(event)
    return streams


def _numbers(stream: str, events: Sequence[Event]) -> dict[str, int]:
    """Returns the events' numbers in a stream. Reserves a number for an event without one."""
    given: dict[str, int] = {}
    for attempt in range(_TRIES):
        wanted = [event.event_id for event in events if event.event_id not in given]
        if not wanted:
            return given
        try:
            given |= _number(stream, wanted)
        except (
            aws.WriteRefused
        ) as refused:  # some have numbers: from an earlier try, or from another publisher
            given |= _noted_numbers(refused.failed[0] or {}, wanted)
            if attempt:
                aws.pause(attempt)
    raise Retryable("the event counters are contended")


def _number(stream: str, event_ids: Sequence[str]) -> dict[str, int]:
    places = {f"number{index}": index for index in range(1, len(event_ids) + 1)}
    notes = [f"#{NUMBERED}{each}" for each in event_ids]
    reached = "if_not_exists( #last , :none )"
    given = ", ".join(f"{note} = {reached} + :{place}" for note, place in zip(notes, places, strict=True))
    unnumbered = " AND ".join(f"attribute_not_exists({note})" for note in notes)
    expression = f"SET {given}, #last = {reached} + :number{len(event_ids)}"
    counter = aws.update_write("events", _counter(stream), expression, unnumbered, none=0, **places)
    return _noted_numbers(aws.write(counter, returning=True), event_ids)


def _noted_numbers(counter: aws.Item, event_ids: Iterable[str]) -> dict[str, int]:
    """Returns the numbers that a stream's counter has noted for these events."""
    return {each: int(counter[NUMBERED + each]) for each in event_ids if NUMBERED + each in counter}


def _forget(stream: str, event_ids: Iterable[str]) -> None:
    """Removes the notes from the counter. A note that a crash leaves costs 40 bytes."""
    notes = ", ".join(f"#{NUMBERED}{each}" for each in event_ids)
    aws.write(aws.update_write("events", _counter(stream), f"REMOVE {notes}"))


def _entry(event: Event, stream: str, sequence: int) -> LoggedEvent:
    return LoggedEvent(
        stream=stream,
        sequence=sequence,
        event_id=event.event_id,
        type=event.type,
        payload=event.payload,
        entity=event.entity,
        user_id=event.user_id,
        timestamp=event.created_at,
    )


def _log_item(entry: LoggedEvent) -> aws.Item:
    forget_at = int((datetime.now(UTC) + LOG_KEPT).timestamp())
    return entry.model_dump() | {"timestamp": entry.timestamp.isoformat(), "forget_at": forget_at}


def _key(owner: str, event_id: str) -> dict[str, Any]:
    return {"owner": owner, "event_id": event_id}


def _counter(stream: str) -> dict[str, Any]:
    return {"stream": stream, "sequence": 0}


def from_stream(records: Iterable[dict[str, Any]]) -> list[OutboxKey]:
    """Returns the outbox keys in DynamoDB stream records.

    Insertions count, deletions do not.
    """
    inserted = [record["dynamodb"]["Keys"] for record in records if record["eventName"] == "INSERT"]
    return [(keys["owner"]["S"], keys["event_id"]["S"]) for keys in inserted]
