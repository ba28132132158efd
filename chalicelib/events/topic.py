"""The SNS topic that carries logged events to their consumers, in order within a stream."""

from collections.abc import Sequence
from typing import Any

import simplejson

from chalicelib import aws, config
from chalicelib.errors import Retryable
from chalicelib.events.models import LoggedEvent

_AT_ONCE = 10  # SNS takes at most ten messages in one PublishBatch


def announce(events: Sequence[LoggedEvent]) -> None:
    """Tells the topic; a repeat within five minutes is dropped there by its deduplication id.

    Raises:
        Retryable: SNS did not take all of them.
    """
    for start in range(0, len(events), _AT_ONCE):
        batch = events[start : start + _AT_ONCE]
        answer = aws.client("sns").publish_batch(
            TopicArn=config.topic("events"), PublishBatchRequestEntries=[_entry(index, event) for index, event in enumerate(batch)]
        )
        if failed := answer.get("Failed"):
            raise Retryable(f"SNS refused {len(failed)} of {len(batch)} events: {failed[0].get('Code')}")


def message(event: LoggedEvent) -> str:
    """The event as the topic carries it."""
    return simplejson.dumps(event.model_dump() | {"timestamp": event.timestamp.isoformat()}, use_decimal=True)


def _entry(index: int, event: LoggedEvent) -> dict[str, Any]:
    return {
        "Id": str(index),
        "Message": message(event),
        "MessageGroupId": event.stream,
        "MessageDeduplicationId": f"{event.stream}:{event.sequence}".replace("#", ":"),
        "MessageAttributes": {"type": {"DataType": "String", "StringValue": event.type}},
    }
