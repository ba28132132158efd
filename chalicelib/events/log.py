"""Reads a stream of the event log."""

from collections.abc import Iterator

from chalicelib import aws
from chalicelib.events.models import LoggedEvent
from chalicelib.events.publish import NUMBERED


def after(stream: str, sequence: int, limit: int) -> Iterator[LoggedEvent]:
    """Returns the events of a stream after `sequence`, in order, at most `limit`."""
    items, _ = aws.query_page(
        "events",
        "#stream = :stream AND #sequence > :sequence",
        stream=stream,
        sequence=max(sequence, 0),
        limit=limit,
        consistent=True,
    )
    return (LoggedEvent.model_validate(item) for item in items)


def last(stream: str) -> int:
    """Returns the sequence of a stream's newest event. 0 for an empty stream."""
    counter = aws.get("events", {"stream": stream, "sequence": 0})
    return int(counter["last"]) if counter else 0


def is_numbered_only(stream: str, sequence: int) -> bool:
    """Returns whether an event has this number in the stream but may not be in the log yet."""
    counter = aws.get("events", {"stream": stream, "sequence": 0}) or {}
    return any(name.startswith(NUMBERED) and number == sequence for name, number in counter.items())
