"""Records refusals at acceptance.

A refusal is an entry of the webhook log. If the user is known, it is also an event in the same transaction.

The same code of the same webhook publishes one event a minute, because a broken alert repeats. Suppressed
refusals are counted, and the next event of the code has their number.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import uniform
from time import sleep
from typing import Any

from chalicelib import aws
from chalicelib.errors import Refused, Retryable
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.signals import store

LOOP = "loop_detected"

_EVERY = timedelta(minutes=1)
_KEPT = timedelta(days=1)
_TRIES = 6


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that was not accepted.

    Attributes:
        owner: The user of the signal. None if no credential proves the user.
        webhook: The route that received the request.
        log_entry: As stored in the webhook log, credentials masked.
        symbol: The symbol. None if unreadable.
        action: The action. None if unreadable.
    """

    request_id: str
    owner: str | None
    webhook: str
    received_at: datetime
    log_entry: Mapping[str, Any]
    symbol: str | None = None
    action: str | None = None


def record(attempt: Attempt, refused: Refused) -> None:
    """Logs a refusal and publishes `signal.refused` for the user.

    A loop is only logged, because its event would enter the same loop.
    """
    if attempt.owner is None:
        aws.write(store.log_write("unknown", attempt.received_at, attempt.request_id, attempt.log_entry))
    elif refused.code == LOOP:
        aws.write(store.log_write(attempt.owner, attempt.received_at, attempt.request_id, attempt.log_entry))
    else:
        values = {name: str(value) for name, value in refused.values.items()}
        payload = {"code": refused.code, "status": refused.status, "field": values.get("field")}
        _once_a_minute(
            attempt,
            "signal.refused",
            refused.code,
            payload | {"refused": [{"leg": None, "code": refused.code, "values": values}]},
        )


def record_repeat(attempt: Attempt, signal_id: str, first_received_at: str) -> None:
    """Logs a signal whose key was used long before, and publishes `signal.repeated`.

    The sender's key is probably not unique.
    """
    _once_a_minute(
        attempt,
        "signal.repeated",
        "repeated",
        {"signal_id": signal_id, "first_received_at": first_received_at},
    )


def _once_a_minute(attempt: Attempt, type_: str, code: str, details: Mapping[str, Any]) -> None:
    """Writes the log entry, together with the event or with an increment of the suppressed count."""
    assert attempt.owner is not None
    log = store.log_write(attempt.owner, attempt.received_at, attempt.request_id, attempt.log_entry)
    key = _key(attempt, code)
    known: aws.Item = {}
    for attempt_number in range(_TRIES):
        at = attempt.received_at.isoformat()
        held_back = known.get("reported_at", "") > (attempt.received_at - _EVERY).isoformat()
        count = int(known.get("held_back", 0)) + 1
        item = {
            "key": key,
            "reported_at": known["reported_at"] if held_back else at,
            "held_back": count if held_back else 0,
            "version": int(known.get("version", 0)) + 1,
            "forget_at": int((attempt.received_at + _KEPT).timestamp()),
        }
        condition = "version = :read" if known else "attribute_not_exists(version)"
        count_write = aws.put_write(
            "idempotency", item, condition, **({"read": known["version"]} if known else {})
        )
        try:
            aws.transact(
                [count_write, log]
                if held_back
                else [count_write, log, outbox.event_write(_event(attempt, type_, count, details))]
            )
        except aws.WriteRefused as refused:
            known = refused.failed[0] or {}
        except Retryable:
            sleep(uniform(0.005, 0.02) * 2**attempt_number)  # noqa: S311 - jitter, not a secret
        else:
            return
    aws.write(log)  # many concurrent refusals of the same kind: the event exists, and the log stays complete


def _event(attempt: Attempt, type_: str, count: int, details: Mapping[str, Any]) -> Event:
    payload = {
        "signal_id": None,
        "request_id": attempt.request_id,
        "webhook": attempt.webhook,
        "symbol": attempt.symbol,
        "action": attempt.action,
        "count": count,
        **({"account_id": None, "account_name": None, "exchange": None} if type_ == "signal.refused" else {}),
        **details,
    }
    return Event(
        event_id=event_id(type_, attempt.request_id),
        type=type_,
        payload=payload,
        entity=f"signal#{attempt.request_id}",
        user_id=attempt.owner,
        created_at=attempt.received_at,
    )


def _key(attempt: Attempt, code: str) -> str:
    parts = json.dumps([attempt.owner, attempt.webhook, code])
    return f"refused#{hashlib.sha256(parts.encode()).hexdigest()}"
