"""Age of a signal: one rule for acceptance, execution and redrive. Pure functions."""

from datetime import datetime, timedelta

from chalicelib.errors import NotDoable


def age(sent_at: datetime | None, received_at: datetime, now: datetime) -> timedelta:
    """Returns the time since receipt or since the sender's timestamp, whichever is earlier.

    A timestamp in the future does not make a signal younger.
    """
    return now - min(sent_at or received_at, received_at)


def check(sent_at: datetime | None, received_at: datetime, now: datetime, limit_s: int) -> None:
    """Raises NotDoable if a signal is too old to open a position.

    Args:
        sent_at: The sender's timestamp. None if there is none.
        limit_s: Largest age, seconds.

    Raises:
        NotDoable: `stale`.
    """
    old = age(sent_at, received_at, now)
    if old > timedelta(seconds=limit_s):
        raise NotDoable("stale", age=int(old.total_seconds()), limit=limit_s)
