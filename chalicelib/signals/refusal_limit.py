"""How many refused requests of one source are recorded in a minute.

A broken or hostile sender must not fill log and outbox.

Counted in each process, so it costs no call, and a burst that AWS spreads over several processes is recorded
by each of them. A signal
that is accepted is never held back by it: `users/signal_quota.py` counts those.
"""

from collections import Counter
from datetime import datetime

from chalicelib import request_limits

_counts: Counter[str] = Counter()
_minute = ""


def is_full(source: str, at: datetime) -> bool:
    """Counts one refusal of a source, a user or an address.

    True if enough of them are recorded in this minute.
    """
    global _minute  # noqa: PLW0603 - the process's own count
    minute = at.strftime("%Y-%m-%dT%H:%M")
    if minute > _minute:
        _minute = minute
        _counts.clear()
    _counts[source] += 1
    return _counts[source] > request_limits.REFUSALS_PER_MINUTE
