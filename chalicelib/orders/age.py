"""How old a signal is: one rule for acceptance, execution and redrive. Pure."""

from datetime import datetime, timedelta

from chalicelib.errors import NotDoable


def age(sent_at: datetime | None, received_at: datetime, now: datetime) -> timedelta:
    """The time since the earlier of receipt and what the sender says.

    A timestamp in the future makes no signal younger.
    """
    return now - min(sent_at or received_at, received_at)


def check(sent_at: datetime | None, received_at: datetime, now: datetime, limit_s: int) -> None:
    """Refuses a signal that is too old to open anything.

    Args:
        limit_s: Seconds.

    Raises:
        NotDoable: `stale`.
    """
    old = age(sent_at, received_at, now)
    if old > timedelta(seconds=limit_s):
        raise NotDoable("stale", age=int(old.total_seconds()), limit=limit_s)
