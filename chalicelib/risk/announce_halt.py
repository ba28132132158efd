"""Telling every user that trading is halted for everybody, or goes on.

By the minute sweep, since nobody's request can wait for that.

The switch itself is thrown at once and refuses from then on. How far the telling has come stands in the
switch's item and moves on in the transaction of the events, so each user is told once, however often the
sweep dies. Throwing the switch again begins anew.
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

_AT_ONCE = 50  # users; a transaction holds a hundred writes
_PATIENCE_S = 20.0
_GLOBAL = Switch(Scope.GLOBAL)


def announce_halt(
    now: datetime, cancel_entries: Callable[[list[str], str], None], seconds: float = _PATIENCE_S
) -> int:
    """Goes on telling for so long, and returns how many users were told; the next sweep goes on from there.

    Args:
        cancel_entries: Has the resting entries of users cancelled, since a time; called for each part of the
            users while halted.
    """
    ends, told = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        item = aws.get("risk", _GLOBAL.key)
        if item is None or "telling" not in item:
            break
        users, following = aws.query_page(
            "users",
            "listed = :all",
            index="listed",
            limit=_AT_ONCE,
            start=item["telling"] or None,
            all=LISTED,
        )
        active = [user["user_id"] for user in users if user.get("is_active", True)]
        writes = [outbox.event_write(halts.event(_GLOBAL, item, now, told_to=user_id)) for user_id in active]
        if item["halted"]:
            cancel_entries(active, item["at"])
        try:
            aws.transact([*writes, _progress_write(item, following)])
        except (aws.WriteRefused, Retryable):
            continue  # another sweep, or the switch was thrown again
        told += len(active)
    return told


def _progress_write(item: aws.Item, following: aws.Item | None) -> aws.Write:
    """The note of how far it has come; it ends where there is nobody left."""
    unmoved = "version = :version AND telling = :before"
    values = {"version": item["version"], "before": item["telling"]}
    if following is None:
        return aws.update_write("risk", _GLOBAL.key, "REMOVE telling", unmoved, **values)
    return aws.update_write("risk", _GLOBAL.key, "SET telling = :after", unmoved, **values, after=following)
