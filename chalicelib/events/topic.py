"""The SNS topic that carries logged events to their consumers, in order within a stream."""

from collections.abc import Iterator, Sequence
from typing import Any

import simplejson

from chalicelib import aws, config
from chalicelib.errors import Retryable
from chalicelib.events import oversized
from chalicelib.events.models import LoggedEvent
from chalicelib.telemetry import Metric, log, measure

# The limit of one PublishBatch, all messages with their attributes together
# (https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html).
_AT_ONCE = 10
_BYTES_AT_ONCE = 262_144
_ATTRIBUTES_BYTES = 300  # the most of one message


def publish_to_topic(events: Sequence[LoggedEvent]) -> None:
    """Publishes events to the topic. SNS drops a duplicate within five minutes by its deduplication id.

    An event that is too large for SNS would block every later event. It is sent with the small values of its
    payload: `trimmed` names the omitted ones, and `whole` is the URL of the full event in the event log.

    Raises:
        Retryable: SNS did not take all events.
    """
    for batch in _batches(events):
        answer = aws.client("sns").publish_batch(
            TopicArn=config.topic("events"), PublishBatchRequestEntries=batch
        )
        if failed := answer.get("Failed"):
            raise Retryable(f"SNS refused {len(failed)} of {len(batch)} events: {failed[0].get('Code')}")


def _batches(events: Sequence[LoggedEvent]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    room = _BYTES_AT_ONCE
    for event in events:
        entry = _entry(len(batch), event)
        size = len(entry["Message"].encode()) + _ATTRIBUTES_BYTES
        if size > _BYTES_AT_ONCE:
            log.error(
                "event trimmed",
                extra={"event_id": event.event_id, "type": event.type, "stream": event.stream, "bytes": size},
            )
            measure(Metric.EVENTS_TRIMMED)
            entry = _entry(len(batch), _short_form(event))
            size = len(entry["Message"].encode()) + _ATTRIBUTES_BYTES
        if size > room or len(batch) == _AT_ONCE:
            yield batch
            batch, room = [], _BYTES_AT_ONCE
            entry["Id"] = "0"
        batch.append(entry)
        room -= size
    if batch:
        yield batch


def message(event: LoggedEvent) -> str:
    """Returns the event as the topic carries it."""
    return simplejson.dumps(event.model_dump() | {"timestamp": event.timestamp.isoformat()}, use_decimal=True)


def _short_form(event: LoggedEvent) -> LoggedEvent:
    kept, left_out = oversized.small_values(event.payload)
    return event.model_copy(
        update={"payload": kept | {"trimmed": left_out, "whole": oversized.full_event_url(event)}}
    )


def _entry(index: int, event: LoggedEvent) -> dict[str, Any]:
    return {
        "Id": str(index),
        "Message": message(event),
        "MessageGroupId": event.stream,
        "MessageDeduplicationId": f"{event.stream}:{event.sequence}".replace("#", ":"),
        "MessageAttributes": {"type": {"DataType": "String", "StringValue": event.type}},
    }
