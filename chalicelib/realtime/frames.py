"""Events as client messages, within API Gateway's size limit."""

from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib.events import oversized
from chalicelib.events.models import LoggedEvent
from chalicelib.http import to_json
from chalicelib.realtime.patterns import is_heard
from chalicelib.realtime.store import Listener

LIMIT = 128 * 1024
"""Largest message in bytes. API Gateway closes the connection over a larger one."""


def encode(message: dict[str, Any]) -> bytes:
    """Returns a message as sent."""
    return to_json(message).encode()


def frames(listener: Listener, events: Sequence[LoggedEvent]) -> list[bytes]:
    """Returns the messages for a connection.

    They hold the events that it subscribed to, in order, one by one or as many together as fit.
    """
    heard = [_event(event) for event in events if is_heard(listener.types, event.type)]
    return list(_batches(heard)) if listener.batch else heard


def _event(event: LoggedEvent) -> bytes:
    encoded = encode(event.shown)
    return encoded if len(encoded) <= LIMIT else encode(event.shown | _small_event(event))


def _small_event(event: LoggedEvent) -> dict[str, Any]:
    """Returns the payload's small values, the names of the omitted ones, and the URL of the full event."""
    kept, left_out = oversized.small_values(event.payload)
    return {"payload": kept, "trimmed": left_out, "whole": oversized.full_event_url(event)}


def _batches(events: Sequence[bytes]) -> Iterator[bytes]:
    """Returns several events as `{"type":"events"}` messages. A single event stays as it is."""
    start, end = b'{"type":"events","events":[', b"]}"
    pack: list[bytes] = []
    size = 0
    for event in events:
        if pack and size + len(event) + 1 > LIMIT - len(start) - len(end):
            yield start + b",".join(pack) + end if len(pack) > 1 else pack[0]
            pack, size = [], 0
        pack.append(event)
        size += len(event) + 1
    if pack:
        yield start + b",".join(pack) + end if len(pack) > 1 else pack[0]
