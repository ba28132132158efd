"""When a failed attempt is followed by which."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.webhooks import schedule
from chalicelib.webhooks.schedule import Next, Verdict, after_failure, parse_retry_after, probe_delay

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def verdict(
    tries: int = 1, status: int | None = 500, retry_after: str | None = None, failing: timedelta = timedelta(), jitter: float = 0.5
) -> Verdict:
    return after_failure(
        tries=tries,
        status=status,
        retry_after=retry_after,
        first_attempt_at=NOW - failing,
        failing_since=NOW - failing,
        now=NOW,
        jitter=jitter,
    )


@given(st.integers(1, 9), st.floats(0, 1))
def test_delays_stay_within_a_fifth(tries: int, jitter: float) -> None:
    """Each delay is the schedule's, moved by at most 20 %."""
    at = verdict(tries, jitter=jitter).at
    assert at
    assert 0.8 <= (at - NOW) / schedule.DELAYS[tries - 1] <= 1.2


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", 120),
        ("0", 1),
        (" 7 ", 7),
        ("999999999999", 86400),
        ("Mon, 02 Mar 2026 12:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 1),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, wait: int | None) -> None:
    """Both forms of RFC 9110 are read, between 1 s and a day; anything else counts as not said."""
    assert parse_retry_after(header, NOW) == (timedelta(seconds=wait) if wait else None)


@pytest.mark.parametrize(("status", "seconds"), [(429, 60), (503, 60), (500, 5), (None, 5), (404, 5)])
def test_only_429_and_503_may_say_when(status: int | None, seconds: int) -> None:
    """`Retry-After` counts on 429 and 503, nowhere else."""
    assert verdict(status=status, retry_after="60").at == NOW + timedelta(seconds=seconds)


def test_410_and_five_days_switch_off() -> None:
    """Gone switches off at once, failing after five days; the delivery is held either way."""
    assert verdict(status=410) == Verdict(next=Next.HOLD, switch_off="gone")
    assert verdict(10, failing=timedelta(days=5)) == Verdict(next=Next.HOLD, switch_off="failing")
    assert verdict(10, failing=timedelta(days=4, hours=23)).at == NOW + timedelta(hours=24)


def test_a_delivery_is_given_up_only_when_others_got_through() -> None:
    """With its retries used up a delivery is given up if the endpoint has worked since its first attempt."""
    since = {"first_attempt_at": NOW - timedelta(days=4), "failing_since": NOW - timedelta(days=1)}
    common = {"status": 500, "retry_after": None, "now": NOW, "jitter": 0.5}
    assert after_failure(tries=10, **since, **common).next is Next.GIVE_UP
    assert after_failure(tries=9, **since, **common).next is Next.RETRY


def test_probes_slow_down() -> None:
    """Probes come after 1, 2, 4, 8, 16 and then every 24 hours."""
    assert [probe_delay(probes, 0.5) / timedelta(hours=1) for probes in range(7)] == [1, 2, 4, 8, 16, 24, 24]
