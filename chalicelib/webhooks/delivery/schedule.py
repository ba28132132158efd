"""When an attempt follows a failed one, and when a failing endpoint is disabled. Pure functions.

- The delays are the example of Standard Webhooks 1.0.0. Jitter of ±20 % spreads the load on a recovered
  endpoint.
- `Retry-After` (RFC 9110 §10.2.3) counts on 429 and 503, and only makes a wait longer.
- An attempt that the receiver postponed uses up no retry.
- A delivery is given up by time: never before the length of the whole schedule, about 75 h.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from itertools import accumulate

from chalicelib.webhooks.models import Frozen

DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
_DUE_AFTER = tuple(accumulate(DELAYS))
LENGTH = _DUE_AFTER[-1]
"""The time from the first to the last attempt of the schedule."""
FAILING_LIMIT = timedelta(days=5)
_JITTER = 0.2
_LONGEST_RETRY_AFTER = timedelta(hours=24)
_OVERLAP = timedelta(minutes=2)  # concurrent attempts do not see each other's outcome
_FIRST_PROBE = timedelta(hours=1)
_SLOWEST_PROBE = timedelta(hours=24)
_GONE, _TOO_MANY, _UNAVAILABLE = 410, 429, 503


class Next(StrEnum):
    """What happens to a delivery after a failed attempt."""

    RETRY = "retry"
    PAUSE = "pause"
    GIVE_UP = "give_up"


class RetryDecision(Frozen):
    """The consequence of a failed attempt.

    Attributes:
        at: When to try again. None unless it is a retry.
        postponed: The receiver asked for a longer wait than the schedule's, so the attempt does not count as
            a try.
        switch_off: Why the endpoint is disabled, `gone` or `failing`. None if it stays active.
    """

    next: Next
    at: datetime | None = None
    postponed: bool = False
    switch_off: str | None = None


def after_failure(
    *,
    tries: int,
    status: int | None,
    retry_after: str | None,
    first_attempt_at: datetime,
    failing_since: datetime,
    now: datetime,
    jitter: float,
    postponed: int = 0,
) -> RetryDecision:
    """Returns the consequence of a failed attempt, the `tries`-th that counts.

    A delivery is given up only if the schedule is over and the endpoint has taken another delivery since its
    first attempt: then the fault is the delivery's. While every delivery fails, the fault is the endpoint's:
    the last delay repeats until the endpoint is disabled and the delivery paused.

    Args:
        failing_since: When the endpoint began to fail without a success in between.
        jitter: 0 to 1, random.
        postponed: How many attempts the receiver postponed before this one.
    """
    if status == _GONE:
        return RetryDecision(next=Next.PAUSE, switch_off="gone")
    if now - failing_since >= FAILING_LIMIT:
        return RetryDecision(next=Next.PAUSE, switch_off="failing")
    elapsed = now - first_attempt_at
    if elapsed >= LENGTH and failing_since > first_attempt_at + _OVERLAP:
        return RetryDecision(next=Next.GIVE_UP)
    own = with_jitter(_delay(tries), jitter)
    asked = parse_retry_after(retry_after, now) if status in (_TOO_MANY, _UNAVAILABLE) else None
    if asked is None or asked <= own:
        return RetryDecision(next=Next.RETRY, at=now + own)
    # Jitter spreads a backlog that was postponed together: a receiver with a rate limit takes only some of a
    # burst.
    spread = jitter * max(asked * _JITTER, DELAYS[0]) if postponed else timedelta()
    least = with_jitter(_delay(bisect_right(_DUE_AFTER, elapsed)), jitter)
    return RetryDecision(next=Next.RETRY, at=now + max(asked + spread, least), postponed=True)


def own_retry(tries: int, now: datetime, jitter: float) -> RetryDecision:
    """Returns a retry at the schedule's own time, whatever the receiver asked for."""
    return RetryDecision(next=Next.RETRY, at=now + with_jitter(_delay(tries), jitter))


def parse_retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Returns the wait of a `Retry-After` header, seconds or an HTTP date, at most 24 h.

    None if the header has no usable value.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), _LONGEST_RETRY_AFTER)
    try:
        # An absurd zone is an OverflowError. So is a date before year 1 in UTC.
        date = parsedate_to_datetime(text)
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(max(wait, timedelta()), _LONGEST_RETRY_AFTER)


def probe_delay(probes: int, jitter: float) -> timedelta:
    """Returns the delay between the `probes`-th probe of a disabled endpoint and the next one.

    1 h doubling to 24 h, ±20 %.
    """
    return with_jitter(min(_FIRST_PROBE * 2 ** min(probes, 5), _SLOWEST_PROBE), jitter)


def with_jitter(delay: timedelta, jitter: float) -> timedelta:
    """Returns the delay ±20 %. `jitter` is 0 to 1."""
    return delay * (1 + _JITTER * (2 * jitter - 1))


def _delay(tries: int) -> timedelta:
    """Returns the schedule's delay after this many tries. The last delay repeats."""
    return DELAYS[min(max(tries, 1), len(DELAYS)) - 1]
