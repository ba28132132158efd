"""An event, and an event with its number in a stream."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

ADMIN_STREAM = "admin"


class Event(BaseModel):
    """A change that subscribers may want to know.

    Attributes:
        event_id: The same for the same change, so a second publication changes nothing.
        type: `order.filled`, `user.created`.
        payload: The data for subscribers. Money and quantities are strings, so that every receiver
            re-serialises them alike.
        entity: The changed entity, `order#...`. Events of one entity are published in order.
        user_id: The user concerned. None for events that concern admins only.
        personal: One of many equal events, one per user. Admins get one event of their own instead.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: str
    type: str
    payload: dict[str, Any]
    entity: str
    user_id: str | None
    personal: bool = False
    created_at: datetime

    @property
    def owner(self) -> str:
        """Returns the owner, whose events are published in order.

        The user's stream, or the admins' stream for events without a user.
        """
        return user_stream(self.user_id) if self.user_id else ADMIN_STREAM

    @property
    def version(self) -> int:
        """Returns the version of the entity in the payload. 0 without a version."""
        version = self.payload.get("version")
        return int(version) if isinstance(version, (int, Decimal)) else 0

    @property
    def streams(self) -> tuple[str, ...]:
        """Returns the streams of the event: the admins' stream and the user's."""
        own = (user_stream(self.user_id),) if self.user_id else ()
        return own if self.personal and own else (ADMIN_STREAM, *own)


class LoggedEvent(BaseModel):
    """An event with its number in one stream, as in the log and on the topic."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: str
    sequence: int
    event_id: str
    type: str
    payload: dict[str, Any]
    entity: str
    user_id: str | None
    timestamp: datetime

    @property
    def shown(self) -> dict[str, Any]:
        """Returns the event as clients get it, by WebSocket and from the event log.

        The time has the format of a webhook's envelope. `user_id` is None for administrators' events.
        """
        return {
            "type": self.type,
            "payload": self.payload,
            "timestamp": self.timestamp.astimezone(UTC).isoformat(timespec="milliseconds"),
            "sequence": self.sequence,
            "event_id": self.event_id,
            "user_id": self.user_id,
        }

    @property
    def signal_id(self) -> str | None:
        """Returns the signal that caused the event. None without one."""
        return self.payload.get("signal_id")


def signal_ids(payloads: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns the signals of these payloads, for a log line."""
    return sorted({str(payload["signal_id"]) for payload in payloads if payload.get("signal_id")})


def user_stream(user_id: str) -> str:
    """Returns the name of a user's stream."""
    return f"user#{user_id}"


def event_id(type_: str, *parts: str) -> str:
    """Returns the deterministic id of an event of this type about these parts."""
    return hashlib.sha256("\x00".join((type_, *parts)).encode()).hexdigest()[:32]
