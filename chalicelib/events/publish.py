"""From the outbox to the streams: sequence, log, topic.

The outbox is partitioned by owner, so that all events of one owner, and of each of the owner's entities, come
through one shard of the table's stream, in order, one batch at a time. Several shards, of different owners,
publish side by side; what they share is the admins' stream. One update of a stream's counter gives a batch
its numbers and notes in the counter whose they are: updates of one item wait for each other and never
conflict, as transactions would. Then the log entries are written, the topic is told, the outbox items go, and
last the counter's notes.

A crash at any point leaves something that says how far it came, so the next try goes on from there: an event
has one place in each of its streams, is told at least once, and its repeats carry the same sequence. Should
two publishers have the same event at once and one of
them be so slow that the other has finished, the event stands in the stream twice, under the same id: there is
never a gap.
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
BATCH = 24  # numbered in one update, whose expressions may have 4 KB
# And the event's id: the counter's note of the number it has given to an event that is not published yet
NUMBERED = "event_"

OutboxKey = tuple[str, str]

_LOOKED_AT = 100  # of an owner's events in the outbox
_TRIES = 12


def publish(keys: Sequence[OutboxKey]) -> int:
    """Publishes the events that are still in the outbox, by owner and id; returns how many.

    What else lies there of the same owners goes with them: events of one transaction may stand in the table's
    stream in any order.

    Raises:
        Retryable: DynamoDB or the topic did not take all.
    """
    return _publish(keys, _waiting)


def _publish(keys: Sequence[OutboxKey], find: Callable[[Sequence[OutboxKey]], list[Event]]) -> int:
    published = 0
    for start in range(0, len(keys), BATCH):
        events = _ordered(find(list(dict.fromkeys(keys[start : start + BATCH]))))
        for first in range(0, len(events), BATCH):
            _publish_batch(events[first : first + BATCH])
        published += len(events)
    return published


def sweep(older_than: timedelta, now: datetime) -> int:
    """Publishes what has waited too long: the stream record was lost, or a publisher crashed."""
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
    return _publish(keys, _these)  # the newer ones are with their own publisher


def _waiting(keys: Sequence[OutboxKey]) -> list[Event]:
    """The events of these keys, and their owners' other ones; where an owner has very many, these alone."""
    events: dict[str, Event] = {}
    asked_for: list[OutboxKey] = []
    for owner in dict.fromkeys(owner for owner, _ in keys):
        items, more = aws.query_page(
            "outbox", "#owner = :owner", owner=owner, limit=_LOOKED_AT, consistent=True
        )
        events |= {item["event_id"]: Event.model_validate(item) for item in items}
        if more:
            asked_for += [key for key in keys if key[0] == owner and key[1] not in events]
    return [*events.values(), *_these(asked_for)]


def _these(keys: Sequence[OutboxKey]) -> list[Event]:
    """The events of these keys that are still in the outbox."""
    items = aws.get_many([("outbox", _key(*key)) for key in keys]) if keys else []
    return [Event.model_validate(item) for item in items if item]


def _ordered(events: Sequence[Event]) -> list[Event]:
    """By time, and those of one entity among themselves by its versions, whatever the clocks say.

    The events of one transaction share a time. The names of their types then decide, which puts
    `ticket.created` before `ticket.message_added` and `payment.completed` before `transaction.created`.
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
    """The events' numbers in a stream, given now where they have none yet."""
    given: dict[str, int] = {}
    for attempt in range(_TRIES):
        wanted = [event.event_id for event in events if event.event_id not in given]
        if not wanted:
            return given
        try:
            given |= _number(stream, wanted)
        except aws.WriteRefused as refused:  # some have numbers: an earlier try of ours, or another publisher
            given |= _noted(refused.failed[0] or {}, wanted)
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
    return _noted(aws.write(counter, returning=True), event_ids)


def _noted(counter: aws.Item, event_ids: Iterable[str]) -> dict[str, int]:
    """The numbers that a stream's counter has noted, of these events."""
    return {each: int(counter[NUMBERED + each]) for each in event_ids if NUMBERED + each in counter}


def _forget(stream: str, event_ids: Iterable[str]) -> None:
    """Takes the notes out of the counter. One that a crash leaves there takes up 40 bytes and no more."""
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
    """The keys of the events that DynamoDB stream records tell of.

    What was put into the outbox, not what left it.
    """
    inserted = [record["dynamodb"]["Keys"] for record in records if record["eventName"] == "INSERT"]
    return [(keys["owner"]["S"], keys["event_id"]["S"]) for keys in inserted]
