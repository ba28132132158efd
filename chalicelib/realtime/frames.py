"""Events as the messages that clients get, none larger than API Gateway takes."""

from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib import config
from chalicelib.events.models import LoggedEvent
from chalicelib.http import to_json
from chalicelib.realtime.patterns import hears
from chalicelib.realtime.store import Connection

LIMIT = 128 * 1024
"""Bytes of one message; API Gateway closes the connection over a larger one."""

_KEPT_VALUE = 1024  # characters of a value that stays in a trimmed payload
_KEPT = 64 * 1024  # characters of all of them together


def encode(message: dict[str, Any]) -> bytes:
    """A message as it is sent."""
    return to_json(message).encode()


def frames(connection: Connection, events: Sequence[LoggedEvent]) -> list[bytes]:
    """What to send to a connection: those of the events that it hears, in order, each by itself or as many together as fit."""
    heard = [_event(event) for event in events if hears(connection.types, event.type)]
    return list(_packed(heard)) if connection.batch else heard


def _event(event: LoggedEvent) -> bytes:
    message = {"type": event.type, "payload": event.payload, "timestamp": event.timestamp.isoformat(), "sequence": event.sequence}
    encoded = encode(message)
    return encoded if len(encoded) <= LIMIT else encode(message | _trimmed(event))


def _trimmed(event: LoggedEvent) -> dict[str, Any]:
    """The payload's small values, the names of those left out, and where the whole event is."""
    kept: dict[str, Any] = {}
    room = _KEPT
    for name, value in event.payload.items():
        size = len(to_json({name: value}))
        if size <= min(_KEPT_VALUE, room):
            kept[name] = value
            room -= size
    left_out = [name[:100] for name in event.payload if name not in kept][:100]
    return {"payload": kept, "trimmed": left_out, "whole": f"{config.setting('PUBLIC_URL')}/realtime/events/{event.sequence}"}


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
