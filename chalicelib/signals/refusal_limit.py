"""Limits the refused requests of one source that are recorded per minute.

A broken or hostile sender must not fill log and outbox.

Each process counts by itself, which needs no call. A burst over several processes is recorded by each of
them. Accepted signals are not limited here, but in `users/signal_quota.py`.
"""

from collections import Counter
from datetime import datetime

from chalicelib import request_limits

_counts: Counter[str] = Counter()
_minute = ""


def is_full(source: str, at: datetime) -> bool:
    """Counts one refusal of a source (a user or an address).

    True if the limit of recorded refusals in this minute is exceeded.
    """
    global _minute  # noqa: PLW0603 - the process's own count
    minute = at.strftime("%Y-%m-%dT%H:%M")
    if minute > _minute:
        _minute = minute
        _counts.clear()
    _counts[source] += 1
    return _counts[source] > request_limits.REFUSALS_PER_MINUTE
