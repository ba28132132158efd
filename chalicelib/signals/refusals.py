"""Refusals at acceptance.

Each is an entry of the webhook log and, where the owner is known, an event, in one transaction.

The same code of the same webhook is an event once a minute, since a broken alert fires again and again. What
was held back in between is counted, and the next event of the code tells how many there were.
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
        owner: Whose signal it would have been; None where no credential proves it.
        webhook: The route it came by.
        log_entry: As the webhook log keeps it, credentials masked.
        symbol: As far as the body could be read, likewise `action`.
    """

    request_id: str
    owner: str | None
    webhook: str
    received_at: datetime
    log_entry: Mapping[str, Any]
    symbol: str | None = None
    action: str | None = None


def record(attempt: Attempt, refused: Refused) -> None:
    """Logs a refusal and raises `signal.refused` for its owner.

    An event about a loop would go round in that loop: it is logged only.
    """
    if attempt.owner is None:
        aws.write(store.log_write("unknown", attempt.received_at, attempt.request_id, attempt.log_entry))
    elif refused.code == LOOP:
        aws.write(store.log_write(attempt.owner, attempt.received_at, attempt.request_id, attempt.log_entry))
    else:
        values = {name: str(value) for name, value in refused.values.items()}
        told = {"code": refused.code, "status": refused.status, "field": values.get("field")}
        _once_a_minute(
            attempt,
            "signal.refused",
            refused.code,
            told | {"refused": [{"leg": None, "code": refused.code, "values": values}]},
        )


def record_repeat(attempt: Attempt, signal_id: str, first_received_at: str) -> None:
    """Logs a signal that its key held back long after the first one, and raises `signal.repeated`.

    The key is probably not unique.
    """
    _once_a_minute(
        attempt,
        "signal.repeated",
        "repeated",
        {"signal_id": signal_id, "first_received_at": first_received_at},
    )


def _once_a_minute(attempt: Attempt, type_: str, code: str, told: Mapping[str, Any]) -> None:
    """Writes the log entry, with the event or one more to its count."""
    assert attempt.owner is not None
    log = store.log_write(attempt.owner, attempt.received_at, attempt.request_id, attempt.log_entry)
    key = _key(attempt, code)
    known: aws.Item = {}
    for attempt_number in range(_TRIES):
        at = attempt.received_at.isoformat()
        held_back = bool(known) and known["told_at"] > (attempt.received_at - _EVERY).isoformat()
        count = int(known.get("held_back", 0)) + 1
        item = {
            "key": key,
            "told_at": known["told_at"] if held_back else at,
            "held_back": count if held_back else 0,
            "version": int(known.get("version", 0)) + 1,
            "forget_at": int((attempt.received_at + _KEPT).timestamp()),
        }
        condition = "version = :read" if known else "attribute_not_exists(version)"
        counted = aws.put_write(
            "idempotency", item, condition, **({"read": known["version"]} if known else {})
        )
        try:
            aws.transact(
                [counted, log]
                if held_back
                else [counted, log, outbox.event_write(_event(attempt, type_, count, told))]
            )
        except aws.WriteRefused as refused:
            known = refused.failed[0] or {}
        except Retryable:
            sleep(uniform(0.005, 0.02) * 2**attempt_number)  # noqa: S311 - jitter, not a secret
        else:
            return
    aws.write(
        log
    )  # many of the same arrive in this instant: they are told of already, and the log misses none


def _event(attempt: Attempt, type_: str, count: int, told: Mapping[str, Any]) -> Event:
    payload = {
        "signal_id": None,
        "request_id": attempt.request_id,
        "webhook": attempt.webhook,
        "symbol": attempt.symbol,
        "action": attempt.action,
        "count": count,
        **({"account_id": None, "account_name": None, "exchange": None} if type_ == "signal.refused" else {}),
        **told,
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
