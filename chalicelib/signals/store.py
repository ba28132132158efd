"""Signals, their idempotency keys, and the log of every inbound request."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.errors import Retryable, TooMany
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.orders.models import Instruction
from chalicelib.signals import alert_gaps
from chalicelib.signals.alert_gaps import AlertGap
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import masking
from chalicelib.users.models import Settings
from chalicelib.users.signal_quota import Usage

KEY_KEPT = timedelta(hours=24)
KEY_WINDOW = timedelta(seconds=30)
_SIGNALS_KEPT = timedelta(days=90)
_LOGS_KEPT = timedelta(days=30)
_BY_ACCOUNT = ("account_id", "exchange", "weight")


@dataclass(frozen=True, slots=True)
class IdempotencyKeys:
    """The keys that identify a duplicate of a signal.

    Attributes:
        key: The sender's own key. None if it sent none.
        scope: The range of duplicates: user, webhook, strategy or account, symbol.
        fingerprint: Hash of credential and body.
        window: How long an identical body is a duplicate. None switches the check off.
        credential: The signal's credential, see `SignalSource`. Keys belong to one credential, so that no
            sender uses up another sender's key.
        closing: The signal is closing. Its key refuses a duplicate within `key_window` only, and never one
            with another body.
    """

    key: str | None
    scope: str
    fingerprint: str
    window: timedelta | None
    credential: str = ""
    closing: bool = False

    @property
    def key_window(self) -> timedelta:
        """How long the same key with the same body is certainly a re-send.

        Later, it may be the exit of another trade.
        """
        return min(self.window or KEY_WINDOW, KEY_WINDOW)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The signal that a duplicate repeats, or that has the same key with another body.

    Attributes:
        late: The key came again after the window, so the later signal is probably a different one.
    """

    signal_id: str
    received_at: str
    same_body: bool
    late: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """A signal with everything that was decided at acceptance.

    Attributes:
        accounts: The number of accounts on its strategy, whether they take part or not.
        closes: The signal can only close, reduce or cancel.
        missed: The gap before this alert. None if no alert is missing.
        secrets: The credentials of the request, which no record may contain.
    """

    signal_id: str
    user_id: str
    signal: Signal
    settings: Settings
    instructions: tuple[Instruction, ...]
    accounts: int
    received_at: datetime
    log_entry: Mapping[str, Any]
    closes: bool = False
    missed: AlertGap | None = None
    secrets: tuple[str, ...] = ()


class Overtaken(Retryable):
    """Nothing was stored, because another signal was stored first.

    Attributes:
        missed: The gap that results from the other signal's position, see `Accepted`.
    """

    def __init__(self, missed: AlertGap | None) -> None:
        super().__init__("another signal was stored first")
        self.missed = missed


def save(accepted: Accepted, guard: IdempotencyKeys, usage: Usage | None) -> Earlier | None:
    """Stores a signal, its keys, its event and its log entry atomically.

    Returns the earlier signal if this one is a duplicate, otherwise None.

    Args:
        usage: The quota that counts the signal. None counts nothing.

    Raises:
        TooMany: The token's quota for this minute is used up.
        Overtaken: Another signal changed the stored state. Save again with the new gap.
        Retryable: Another transaction held the same keys.
    """
    writes = {
        "signal": aws.put_write("signals", _item(accepted), "attribute_not_exists(signal_id)"),
        "log": log_write(accepted.user_id, accepted.received_at, accepted.signal_id, accepted.log_entry),
        "event": outbox.event_write(_accepted_event(accepted)),
        "last": _last_write(accepted, guard),
    }
    if guard.key:
        writes["key"] = _key_write(accepted, guard)
    if accepted.signal.symbol and accepted.signal.market_position:
        writes["position"] = alert_gaps.position_write(
            accepted.signal, guard.scope, accepted.signal_id, accepted.received_at, accepted.missed
        )
    if accepted.missed and not accepted.missed.came_late:
        writes["missed"] = outbox.event_write(
            alert_gaps.gap_event(
                accepted.signal, accepted.missed, accepted.signal_id, accepted.user_id, accepted.received_at
            )
        )
    part = 0
    if usage:
        part, writes["usage"] = usage.write(accepted.received_at, closing=accepted.closes)
    try:
        aws.transact(list(writes.values()))
    except aws.WriteRefused as refused:
        failed = {name: item for name, item in zip(writes, refused.failed, strict=True) if item is not None}
        earlier = failed.get("key") or failed.get("last")
        if earlier:
            late = (
                "key" in failed
                and earlier["received_at"] < (accepted.received_at - guard.key_window).isoformat()
            )
            return Earlier(
                str(earlier["signal_id"]),
                earlier["received_at"],
                earlier["fingerprint"] == guard.fingerprint,
                late,
            )
        if usage and "usage" in failed:
            usage.learn(part, failed["usage"])
            if usage.full(accepted.received_at, closing=accepted.closes):
                raise TooMany("too_many_requests", retry_after=60 - accepted.received_at.second) from None
        known = (
            accepted.missed
            if "position" not in failed
            else alert_gaps.gap_of(accepted.signal, failed["position"], accepted.received_at)
        )
        raise Overtaken(known) from None
    return None


def _last_write(accepted: Accepted, guard: IdempotencyKeys) -> aws.Write:
    """Returns the write of the scope's last signal.

    Without a key, the condition refuses an identical body within the window. With a key, only the key
    decides.
    """
    item = {
        "key": f"last#{guard.scope}",
        "signal_id": accepted.signal_id,
        "fingerprint": guard.fingerprint,
        "received_at": accepted.received_at.isoformat(),
        "forget_at": int((accepted.received_at + KEY_KEPT).timestamp()),
    }
    if guard.key or guard.window is None:
        return aws.put_write("idempotency", item)
    return aws.put_write(
        "idempotency",
        item,
        "attribute_not_exists(signal_id) OR fingerprint <> :fingerprint OR received_at < :since",
        fingerprint=guard.fingerprint,
        since=(accepted.received_at - guard.window).isoformat(),
    )


def _key_write(accepted: Accepted, guard: IdempotencyKeys) -> aws.Write:
    """Returns the write of the sender's key, whose condition refuses another signal under the same key.

    For a closing signal, the condition refuses only a re-send.
    """
    item = {
        "key": _key_of(guard),
        "signal_id": accepted.signal_id,
        "fingerprint": guard.fingerprint,
        "received_at": accepted.received_at.isoformat(),
        "forget_at": int((accepted.received_at + KEY_KEPT).timestamp()),
    }
    condition = "attribute_not_exists(signal_id) OR received_at < :since"
    if not guard.closing:
        return aws.put_write(
            "idempotency", item, condition, since=(accepted.received_at - KEY_KEPT).isoformat()
        )
    since = (accepted.received_at - guard.key_window).isoformat()
    return aws.put_write(
        "idempotency",
        item,
        f"{condition} OR fingerprint <> :fingerprint",
        since=since,
        fingerprint=guard.fingerprint,
    )


def _key_of(guard: IdempotencyKeys) -> str:
    """Returns the item key of a sender's key, hashed because keys may be long and contain any character."""
    parts = json.dumps([guard.credential, guard.scope, guard.key])
    return f"key#{hashlib.sha256(parts.encode()).hexdigest()}"


def _item(accepted: Accepted) -> aws.Item:
    return {
        "signal_id": accepted.signal_id,
        "user_id": accepted.user_id,
        "variant": accepted.signal.variant.value,
        "received_at": accepted.received_at.isoformat(),
        "signal": masking.mask_values(accepted.signal.model_dump(mode="json"), accepted.secrets),
        "settings": accepted.settings.model_dump(mode="json"),
        "accounts": accepted.accounts,
        "n_accounts": len(accepted.instructions),
        **_stored_instructions(accepted.instructions),
        **(
            {"missed": accepted.missed.model_dump(mode="json", exclude_defaults=True)}
            if accepted.missed
            else {}
        ),
        "unqueued": aws.index_shard(accepted.signal_id),
        "forget_at": int((accepted.received_at + _SIGNALS_KEPT).timestamp()),
    }


def _accepted_event(accepted: Accepted) -> Event:
    signal = accepted.signal
    payload = {
        "signal_id": accepted.signal_id,
        "variant": signal.variant.value,
        "action": signal.action.value,
        "symbol": signal.symbol.name if signal.symbol else None,
        "group_name": signal.group_name,
        "accounts": len(accepted.instructions),
    }
    return Event(
        event_id=event_id("signal.accepted", accepted.signal_id),
        type="signal.accepted",
        payload=payload,
        entity=f"signal#{accepted.signal_id}",
        user_id=accepted.user_id,
        created_at=accepted.received_at,
    )


def log_write(owner: str, at: datetime, request_id: str, entry: Mapping[str, Any]) -> aws.Write:
    """Returns the write of a webhook log entry. `owner` is the authenticated user, otherwise "unknown"."""
    item = {
        "owner": owner,
        "at": f"{at.isoformat()}#{request_id}",
        "received_at": at.isoformat(),
        "forget_at": int((at + _LOGS_KEPT).timestamp()),
        **entry,
    }
    return aws.put_write("webhook_logs", item)


def get(signal_id: str) -> aws.Item | None:
    """Returns a stored signal. None if it does not exist."""
    return aws.get("signals", {"signal_id": signal_id})


def _stored_instructions(instructions: Sequence[Instruction]) -> dict[str, Any]:
    """Returns the instructions in compact form.

    One item may hold a thousand instructions, which differ by account only.
    """
    shared = instructions[0].model_dump(mode="json", exclude_none=True, exclude=set(_BY_ACCOUNT))
    return {
        "instruction": shared,
        "targets": [[str(getattr(each, name)) for name in _BY_ACCOUNT] for each in instructions],
    }


def instructions_of(item: aws.Item) -> tuple[Instruction, ...]:
    """Returns the instructions of a stored signal, as they were first sent."""
    return tuple(
        Instruction.model_validate(item["instruction"] | dict(zip(_BY_ACCOUNT, target, strict=True)))
        for target in item["targets"]
    )


def unqueued_signals(before: datetime) -> Iterator[aws.Item]:
    """Yields signals received before a time whose messages may not be in their queues.

    The oldest comes first within a shard.
    """
    condition = "unqueued = :shard AND received_at < :before"
    for shard in aws.SHARDS:
        for found in aws.query_all(
            "signals", condition, index="unqueued", shard=shard, before=before.isoformat()
        ):
            item = aws.get(
                "signals", {"signal_id": found["signal_id"]}
            )  # the index holds keys only, and lags behind the table
            if item and "unqueued" in item:
                yield item


def mark_queued(signal_id: str) -> None:
    """Marks a signal whose messages are all in their queues."""
    aws.write(aws.update_write("signals", {"signal_id": signal_id}, "REMOVE unqueued"))


def fingerprint(body: bytes, credential: str = "") -> str:
    """Returns a hash that identifies a body of one sender."""
    return hashlib.sha256(credential.encode() + b"\x00" + body).hexdigest()
