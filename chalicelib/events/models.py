"""An event, and an event at its place in a stream."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

ADMIN_STREAM = "admin"


class Event(BaseModel):
    """Something that happened.

    Attributes:
        event_id: The same whenever the same change is told, so telling twice changes nothing.
        type: `order.filled`, `user.created`.
        payload: What subscribers get. Money and quantities are strings, so that every receiver re-serialises
            them alike.
        entity: What it happened to, `order#...`; events of one entity are told in order.
        user_id: Whose it is; None for what concerns admins only.
        personal: One of many that tell each user the same, which admins are told by an event of its own.
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
        """Whose events are published in order.

        Its user's stream, or the admins' for what concerns nobody else.
        """
        return user_stream(self.user_id) if self.user_id else ADMIN_STREAM

    @property
    def version(self) -> int:
        """How many changes of its entity it tells of; 0 where the payload does not say."""
        version = self.payload.get("version")
        return int(version) if isinstance(version, (int, Decimal)) else 0

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams it appears in: the admins', and its user's."""
        own = (user_stream(self.user_id),) if self.user_id else ()
        return own if self.personal and own else (ADMIN_STREAM, *own)


class LoggedEvent(BaseModel):
    """An event at its place in one stream, as the log keeps it and the topic carries it."""

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
        """The event as clients get it, the same by WebSocket and from the event log.

        The time is as in a webhook's envelope. `user_id` is None for what concerns administrators only.
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
        """The signal that the event is a consequence of; None if it is none's."""
        return self.payload.get("signal_id")


def signal_ids(payloads: Iterable[Mapping[str, Any]]) -> list[str]:
    """The signals that these payloads of events are about, for a line in the log."""
    return sorted({str(payload["signal_id"]) for payload in payloads if payload.get("signal_id")})


def user_stream(user_id: str) -> str:
    """The name of a user's stream."""
    return f"user#{user_id}"


def event_id(type_: str, *parts: str) -> str:
    """A deterministic id for the event of this type about these parts."""
    return hashlib.sha256("\x00".join((type_, *parts)).encode()).hexdigest()[:32]
