"""Events as the messages that clients get, none larger than API Gateway takes."""

from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib.events import oversized
from chalicelib.events.models import LoggedEvent
from chalicelib.http import to_json
from chalicelib.realtime.patterns import is_heard
from chalicelib.realtime.store import Listener

LIMIT = 128 * 1024
"""Bytes of one message; API Gateway closes the connection over a larger one."""


def encode(message: dict[str, Any]) -> bytes:
    """A message as it is sent."""
    return to_json(message).encode()


def frames(listener: Listener, events: Sequence[LoggedEvent]) -> list[bytes]:
    """What to send to a connection.

    Those of the events that it hears, in order, each by itself or as many together as fit.
    """
    heard = [_event(event) for event in events if is_heard(listener.types, event.type)]
    return list(_packed(heard)) if listener.batch else heard


def _event(event: LoggedEvent) -> bytes:
    encoded = encode(event.shown)
    return encoded if len(encoded) <= LIMIT else encode(event.shown | _trimmed(event))


def _trimmed(event: LoggedEvent) -> dict[str, Any]:
    """The payload's small values, the names of those left out, and where the whole event is."""
    kept, left_out = oversized.small_values(event.payload)
    return {"payload": kept, "trimmed": left_out, "whole": oversized.full_event_url(event)}


def _packed(events: Sequence[bytes]) -> Iterator[bytes]:
    """Several events as one `{"type":"events"}` message; a single one as it is."""
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
