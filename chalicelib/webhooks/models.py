"""A subscription, a delivery of one event to it, and one attempt at that delivery. No I/O."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

ADMIN_STREAM = "admin"
_SHORTEST_KEY = 16  # bytes; Standard Webhooks 1.0.0 recommends 24 to 64


def stamp(moment: datetime) -> str:
    """A time as stored and shown: ISO 8601, UTC, milliseconds, so that stamps sort as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def from_stored(moment: datetime) -> datetime:
    """A time as it comes back from where it was stored."""
    return datetime.fromisoformat(stamp(moment))


def canonical(payload: Any) -> str:
    """The body of a delivery: exactly what the published receiver re-serialises before it verifies."""
    return json.dumps(payload, sort_keys=True)


class Frozen(BaseModel):
    """The base of the values here: immutable; what a newer version has added to an item is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Scope(StrEnum):
    """Whose events a subscription hears: everybody's, or its owner's."""

    ADMIN = "admin"
    USER = "user"


class Format(StrEnum):
    """The body.

    The event's payload as it is, or wrapped with `id, event_id, type, timestamp, sequence, data`.
    """

    PLAIN = "plain"
    ENVELOPE = "envelope"


class Status(StrEnum):
    """Of a subscription. Paused by its owner, disabled by us; either way its deliveries are paused."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    DELETED = "deleted"


class State(StrEnum):
    """Of a delivery; the books count each of them.

    Pending has an attempt coming. Held waits for its endpoint to be back. Dead is given up, and can be
    replayed.
    """

    PENDING = "pending"
    PAUSED = "paused"
    DELIVERED = "delivered"
    DEAD = "dead"


class Secret(Frozen):
    """A signing secret; the newest has no end, the ones before it end when their overlap is over."""

    value: SecretStr
    expires_at: datetime | None = None

    @property
    def key(self) -> bytes:
        """The HMAC key under Standard Webhooks 1.0.0.

        The decoded part of a `whsec_` secret, else the secret's own bytes.
        """
        value = self.value.get_secret_value()
        if not value.startswith("whsec_"):
            return value.encode()
        return base64.b64decode(value.removeprefix("whsec_"), validate=True)


def is_usable_secret(secret: str) -> bool:
    """Whether a key can be made of this secret.

    `whsec_` promises base64, and a key of that few bytes would be guessed.
    """
    try:
        key = Secret(value=SecretStr(secret)).key
    except (binascii.Error, ValueError):
        return False
    return len(key) >= _SHORTEST_KEY if secret.startswith("whsec_") else bool(key.strip())


class Webhook(Frozen):
    """A subscription.

    Attributes:
        owner: The user who made it, or whom an admin made it for.
        event_types: Exact types or wildcards, `order.*`.
        secrets: The newest first.
        headers: Sent with every attempt; their values are treated as secrets.
        filter: Conditions on the payload, by dotted path; see `match.py`.
        rate_limit: Attempts per second, at most; None for no limit.
        failing_since: When the first attempt failed after the last that succeeded.
    """

    webhook_id: int
    owner: str
    scope: Scope
    name: str
    url: str = Field(repr=False)
    event_types: tuple[str, ...]
    secrets: tuple[Secret, ...]
    description: str | None = None
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    filter: Mapping[str, Any] = Field(default_factory=dict)
    rate_limit: int | None = None
    format: Format = Format.PLAIN
    status: Status = Status.ACTIVE
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def is_active(self) -> bool:
        """Whether its deliveries go out."""
        return self.status is Status.ACTIVE

    @property
    def stream(self) -> str:
        """The event stream it hears."""
        return ADMIN_STREAM if self.scope is Scope.ADMIN else f"user#{self.owner}"

    def active_secrets(self, now: datetime) -> tuple[Secret, ...]:
        """The secrets to sign with, the newest first."""
        return tuple(
            secret for secret in self.secrets if secret.expires_at is None or secret.expires_at > now
        )


class Delivery(Frozen):
    """One event for one subscription.

    Attributes:
        delivery_id: The same whenever the same event meets the same subscription; also its `webhook-id`.
        sequence: The subscription's own count of matched events, 1, 2, 3 ...: what `X-Webhook-Sequence` says.
        event: The event's payload, as JSON text.
        tries: Attempts since it was placed or last replayed; `attempts` counts all of them.
        attempted: The first attempt is over, so what follows it on its entity may go.
        failed: The last attempt failed.
        blocked: An earlier delivery for the same entity has not had its first attempt yet; `next_delivery_id`
            is the other end of that.
        slotted: It has waited for its place under the endpoint's rate limit.
        claimed_until: Somebody is making an attempt; after that time they are taken for dead.
        version: Counts the changes of the item; every change names the version it saw.
    """

    delivery_id: str
    webhook_id: int
    placed: str
    sequence: int
    event_id: str
    type: str
    entity: str
    timestamp: datetime
    event: str = Field(repr=False)
    state: State
    version: int
    attempts: int = 0
    tries: int = 0
    attempted: bool = False
    failed: bool = False
    blocked: bool = False
    slotted: bool = False
    next_delivery_id: str | None = None
    claimed_until: datetime | None = None
    first_attempt_at: datetime | None = None
    next_retry_at: datetime | None = None
    delivered_at: datetime | None = None
    response_status: int | None = None
    duration_ms: int | None = None
    error: str | None = None

    @property
    def status(self) -> str:
        """What the API calls `status`: success; failed once an attempt has failed, or none will be made.

        Else pending.
        """
        if self.state is State.DELIVERED:
            return "success"
        return "failed" if self.failed or self.state is State.DEAD else "pending"

    @property
    def payload(self) -> Any:
        """The event's payload."""
        return json.loads(self.event)

    @property
    def signal_id(self) -> str | None:
        """The signal that the event is a consequence of; None if it is none's."""
        payload = self.payload
        return payload.get("signal_id") if isinstance(payload, dict) else None

    def body(self, format_: Format) -> str:
        """The request body, in the subscription's format."""
        if format_ is Format.PLAIN:
            return canonical(self.payload)
        envelope = {
            "id": self.delivery_id,
            "event_id": self.event_id,
            "type": self.type,
            "timestamp": stamp(self.timestamp),
            "sequence": self.sequence,
            "data": self.payload,
        }
        return canonical(envelope)


class Outcome(Frozen):
    """What came of one attempt.

    Attributes:
        status: The HTTP status, None when there was no answer.
        error: Why it does not count as delivered: `http_500`, `timeout`, `connection`, `tls`, `dns`,
            `refused`; None if it does.
        retry_after: The `Retry-After` header as it came.
    """

    status: int | None = None
    error: str | None = None
    duration_ms: int = 0
    response_headers: Mapping[str, str] = Field(default_factory=dict)
    response_body: str = ""
    truncated: bool = False
    retry_after: str | None = None
