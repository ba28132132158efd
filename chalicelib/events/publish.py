"""From the outbox to the streams: sequence, log, topic.

One transaction gives a batch of events their sequence numbers: it writes the log entries, moves the counters and notes the
numbers in the outbox items. Only then the topic is told, and only then the outbox items go. A crash at any point leaves
something that says how far it came, so the next try goes on from there: an event has one place in each of its streams,
is told at least once, and its repeats carry the same sequence.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.events import topic
from chalicelib.events.models import Event, LoggedEvent, signal_ids
from chalicelib.telemetry import log

LOG_KEPT = timedelta(days=30)
BATCH = 24  # a transaction holds 100 writes: for each event its outbox item, two log entries and its user's counter, and the admins' one
_TRIES = 5


def publish(event_ids: Sequence[str]) -> int:
    """Publishes the events that are still in the outbox, in the order given; returns how many.

    Raises:
        Retryable: Another publisher moved the counters at the same time, again and again.
    """
    published = 0
    for start in range(0, len(event_ids), BATCH):
        published += _publish_batch(list(dict.fromkeys(event_ids[start : start + BATCH])))
    return published


def sweep(older_than: timedelta, now: datetime) -> int:
    """Publishes what has waited too long: the stream record was lost, or a publisher crashed."""
    before = (now - older_than).isoformat()
    condition = "unpublished = :shard AND created_at < :before"
    waiting = [item for shard in aws.SHARDS for item in aws.query_all("outbox", condition, index="unpublished", shard=shard, before=before)]
    return publish([item["event_id"] for item in sorted(waiting, key=lambda item: str(item["created_at"]))])


def _publish_batch(event_ids: Sequence[str]) -> int:
    for _ in range(_TRIES):
        items = [item for item in aws.get_many([("outbox", {"event_id": event_id}) for event_id in event_ids]) if item]
        if not items:
            return 0
        items.sort(key=lambda item: item["created_at"])  # the stream keeps the order of one item's changes only
        try:
            logged = _sequenced(items)
        except (aws.WriteRefused, Retryable):
            continue  # another publisher was faster; what it sequenced shows in the outbox items now
        topic.announce(logged)
        aws.delete_many("outbox", [{"event_id": item["event_id"]} for item in items])
        signals = signal_ids(item["payload"] for item in items)
        types = sorted({item["type"] for item in items})
        log.info("events published", extra={"events": len(items), "types": types, "signal_ids": signals})
        return len(items)
    raise Retryable("the event counters are contended")


def _sequenced(items: Sequence[aws.Item]) -> list[LoggedEvent]:
    """The items with their sequence numbers, given now where they have none yet."""
    logged: list[LoggedEvent] = []
    fresh: list[Event] = []
    for item in items:
        if sequences := item.get("sequences"):
            logged += _entries(Event.model_validate(item), sequences)
        else:
            fresh.append(Event.model_validate(item))
    return [*logged, *_sequence(fresh)] if fresh else logged


def _sequence(events: Sequence[Event]) -> list[LoggedEvent]:
    streams = sorted({stream for event in events for stream in event.streams})
    counters = aws.get_many([("events", {"stream": stream, "sequence": 0}) for stream in streams])
    before = {stream: int(counter["last"]) if counter else 0 for stream, counter in zip(streams, counters, strict=True)}
    last = dict(before)
    logged: list[LoggedEvent] = []
    writes: list[aws.Write] = []
    for event in events:
        sequences: dict[str, Any] = {}
        for stream in event.streams:
            last[stream] += 1
            sequences[stream] = last[stream]
        entries = _entries(event, sequences)
        logged += entries
        writes += [aws.put("events", _log_item(entry), "attribute_not_exists(#sequence)") for entry in entries]
        writes.append(
            aws.update(
                "outbox",
                {"event_id": event.event_id},
                "SET sequences = :sequences",
                "attribute_exists(event_id) AND attribute_not_exists(sequences)",
                sequences=sequences,
            )
        )
    writes += [_moved(stream, before[stream], last[stream]) for stream in streams]
    aws.transact(writes)
    return logged


def _moved(stream: str, before: int, after: int) -> aws.Write:
    """The counter's move, refused if another publisher moved it since it was read."""
    unmoved = "#last = :before" if before else "attribute_not_exists(#last)"
    values = {"after": after} | ({"before": before} if before else {})
    return aws.update("events", {"stream": stream, "sequence": 0}, "SET #last = :after", unmoved, **values)


def _entries(event: Event, sequences: dict[str, Any]) -> list[LoggedEvent]:
    return [
        LoggedEvent(
            stream=stream,
            sequence=int(sequence),
            event_id=event.event_id,
            type=event.type,
            payload=event.payload,
            entity=event.entity,
            user_id=event.user_id,
            timestamp=event.created_at,
        )
        for stream, sequence in sequences.items()
    ]


def _log_item(entry: LoggedEvent) -> aws.Item:
    forget_at = int((datetime.now(UTC) + LOG_KEPT).timestamp())
    return entry.model_dump() | {"timestamp": entry.timestamp.isoformat(), "forget_at": forget_at}


def from_stream(records: Iterable[dict[str, Any]]) -> list[str]:
    """The ids of the events that DynamoDB stream records tell of: what was put into the outbox, not what left it."""
    return [record["dynamodb"]["Keys"]["event_id"]["S"] for record in records if record["eventName"] == "INSERT"]
