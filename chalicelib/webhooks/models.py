"""A subscription, a delivery of one event to a subscription, and one attempt at a delivery. No I/O."""

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
    """Returns a time as stored and shown: ISO 8601, UTC, milliseconds. Stamps sort as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def from_stored(moment: datetime) -> datetime:
    """Returns a stored time as a datetime."""
    return datetime.fromisoformat(stamp(moment))


def canonical(payload: Any) -> str:
    """Returns the body of a delivery: exactly what the published receiver verifies."""
    return json.dumps(payload, sort_keys=True)


class Frozen(BaseModel):
    """Base of the models here: immutable. Ignores fields that a newer version has added to an item."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Scope(StrEnum):
    """Whose events a subscription gets: everybody's, or its owner's."""

    ADMIN = "admin"
    USER = "user"


class Format(StrEnum):
    """The format of the body.

    The event's payload alone, or wrapped with `id, event_id, type, timestamp, sequence, data`.
    """

    PLAIN = "plain"
    ENVELOPE = "envelope"


class Status(StrEnum):
    """The status of a subscription. The owner pauses, the system disables. Both pause its deliveries."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    DELETED = "deleted"


class State(StrEnum):
    """The state of a delivery. The counters count each state.

    - Pending: an attempt will follow.
    - Paused: waits until its endpoint is active again.
    - Dead: given up. It can be replayed.
    """

    PENDING = "pending"
    PAUSED = "paused"
    DELIVERED = "delivered"
    DEAD = "dead"


class Secret(Frozen):
    """A signing secret. The newest has no end; older ones end when their overlap is over."""

    value: SecretStr
    expires_at: datetime | None = None

    @property
    def key(self) -> bytes:
        """Returns the HMAC key under Standard Webhooks 1.0.0.

        The decoded part of a `whsec_` secret, else the secret's own bytes.
        """
        value = self.value.get_secret_value()
        if not value.startswith("whsec_"):
            return value.encode()
        return base64.b64decode(value.removeprefix("whsec_"), validate=True)


def is_usable_secret(secret: str) -> bool:
    """Returns whether the secret yields a key.

    `whsec_` promises base64. A key that is too short could be guessed.
    """
    try:
        key = Secret(value=SecretStr(secret)).key
    except (binascii.Error, ValueError):
        return False
    return len(key) >= _SHORTEST_KEY if secret.startswith("whsec_") else bool(key.strip())


class Webhook(Frozen):
    """A subscription.

    Attributes:
        owner: The user who created it, or for whom an admin created it.
        event_types: Exact types or wildcards, `order.*`.
        secrets: The newest first.
        headers: Sent with every attempt. Their values are treated as secrets.
        filter: Conditions on the payload, by dotted path; see `filters.py`.
        rate_limit: The most attempts per second. None for no limit.
        failing_since: When the first attempt failed after the last success.
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
        """Returns whether its deliveries go out."""
        return self.status is Status.ACTIVE

    @property
    def stream(self) -> str:
        """Returns the event stream of the subscription."""
        return ADMIN_STREAM if self.scope is Scope.ADMIN else f"user#{self.owner}"

    def active_secrets(self, now: datetime) -> tuple[Secret, ...]:
        """Returns the secrets to sign with, the newest first."""
        return tuple(
            secret for secret in self.secrets if secret.expires_at is None or secret.expires_at > now
        )


class Delivery(Frozen):
    """One event for one subscription.

    Attributes:
        delivery_id: The same for the same event and subscription. Also its `webhook-id`.
        sequence: The subscription's count of matched events, 1, 2, 3 ...: the value of `X-Webhook-Sequence`.
        event: The event's payload, as JSON text.
        tries: Attempts since it was created or last replayed; `attempts` counts all of them.
        attempted: The first attempt is over, so the next delivery of its ordering key may go.
        failed: The last attempt failed.
        blocked: An earlier delivery of the same ordering key has not had its first attempt yet. That
            delivery's `next_delivery_id` names this one.
        slotted: It has waited for its slot under the endpoint's rate limit.
        claimed_until: A worker is making an attempt. After this time the worker counts as crashed.
        version: Counts the changes of the item. Every change names the version it read.
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
        """Returns the API's `status`: success, failed or pending.

        Failed once an attempt has failed, or when none will be made.
        """
        if self.state is State.DELIVERED:
            return "success"
        return "failed" if self.failed or self.state is State.DEAD else "pending"

    @property
    def payload(self) -> Any:
        """Returns the event's payload."""
        return json.loads(self.event)

    @property
    def signal_id(self) -> str | None:
        """Returns the signal that caused the event, or None without one."""
        payload = self.payload
        return payload.get("signal_id") if isinstance(payload, dict) else None

    def body(self, format_: Format) -> str:
        """Returns the request body in the subscription's format."""
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
    """The outcome of one attempt.

    Attributes:
        status: The HTTP status. None without an answer.
        error: Why the attempt failed: `http_500`, `timeout`, `connection`, `tls`, `dns`, `refused`. None
            after success.
        retry_after: The `Retry-After` header as received.
    """

    status: int | None = None
    error: str | None = None
    duration_ms: int = 0
    response_headers: Mapping[str, str] = Field(default_factory=dict)
    response_body: str = ""
    truncated: bool = False
    retry_after: str | None = None
