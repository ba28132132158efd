"""Notifies every user of a global halt or of its end.

The one-minute sweep does this, because no request can wait for all users. The switch itself is set at once
and refuses orders from then on. The switch's item holds the progress, which is written in the transaction of
the events. Each user is therefore notified once, even if the sweep crashes. Setting the switch again restarts
the notifications.
"""

import time
from collections.abc import Callable
from datetime import datetime

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.events import outbox
from chalicelib.risk import halts
from chalicelib.risk.halts import Scope, Switch
from chalicelib.users.store import LISTED

_AT_ONCE = 50  # users. A transaction holds 100 writes
_PATIENCE_S = 20.0
_GLOBAL = Switch(Scope.GLOBAL)


def announce_halt(
    now: datetime, cancel_entries: Callable[[list[str], str], None], seconds: float = _PATIENCE_S
) -> int:
    """Continues the notifications for `seconds`. Returns the number of notified users.

    The next sweep continues from there.

    Args:
        cancel_entries: Cancels the resting entries of users, given the start of the halt. Called for each
            part of the users while trading is halted.
        seconds: Longest duration, seconds.
    """
    ends, notified = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        item = aws.get("risk", _GLOBAL.key)
        if item is None or "telling" not in item:
            break
        users, next_key = aws.query_page(
            "users",
            "listed = :all",
            index="listed",
            limit=_AT_ONCE,
            start=item["telling"] or None,
            all=LISTED,
        )
        active = [user["user_id"] for user in users if user.get("is_active", True)]
        writes = [
            outbox.event_write(halts.event(_GLOBAL, item, now, recipient=user_id)) for user_id in active
        ]
        if item["halted"]:
            cancel_entries(active, item["at"])
        try:
            aws.transact([*writes, _progress_write(item, next_key)])
        except (aws.WriteRefused, Retryable):
            continue  # another sweep was faster, or the switch was set again
        notified += len(active)
    return notified


def _progress_write(item: aws.Item, next_key: aws.Item | None) -> aws.Write:
    """Returns the write of the progress. It ends when no user is left."""
    unmoved = "version = :version AND telling = :before"
    values = {"version": item["version"], "before": item["telling"]}
    if next_key is None:
        return aws.update_write("risk", _GLOBAL.key, "REMOVE telling", unmoved, **values)
    return aws.update_write("risk", _GLOBAL.key, "SET telling = :after", unmoved, **values, after=next_key)
