"""Oversized events: their small values, the names of the omitted values, and the URL of the full event."""

from collections.abc import Mapping
from typing import Any

from chalicelib import config
from chalicelib.events.models import LoggedEvent
from chalicelib.http import to_json

_KEPT_VALUE = 1024  # characters of a value that stays
_KEPT = 64 * 1024  # characters of all values that stay


def small_values(payload: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Returns the small values of a payload, and the names of the omitted ones."""
    kept: dict[str, Any] = {}
    room = _KEPT
    for name, value in payload.items():
        size = len(to_json({name: value}))
        if size <= min(_KEPT_VALUE, room):
            kept[name] = value
            room -= size
    return kept, [name[:100] for name in payload if name not in kept][:100]


def full_event_url(event: LoggedEvent) -> str:
    """Returns the URL of the full event, for readers of the event's stream."""
    return f"{config.setting('PUBLIC_URL')}/realtime/events/{event.sequence}"
