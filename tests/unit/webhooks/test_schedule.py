"""The consequences of failed attempts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.webhooks.delivery import schedule
from chalicelib.webhooks.delivery.schedule import (
    Next,
    RetryDecision,
    after_failure,
    parse_retry_after,
    probe_delay,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def decision(
    tries: int = 1,
    status: int | None = 500,
    retry_after: str | None = None,
    failing: timedelta = timedelta(),
    jitter: float = 0.5,
) -> RetryDecision:
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
    at = decision(tries, jitter=jitter).at
    assert at
    assert 0.8 <= (at - NOW) / schedule.DELAYS[tries - 1] <= 1.2


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", 120),
        ("0", 0),
        (" 7 ", 7),
        ("999999999999", 86400),
        ("Mon, 02 Mar 2026 12:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0),
        ("Mon, 02 Mar 2026 12:00:00 +99999999999999999999", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86400),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, wait: int | None) -> None:
    """Both forms of RFC 9110 are read, up to a day; anything else counts as not said."""
    assert parse_retry_after(header, NOW) == (None if wait is None else timedelta(seconds=wait))


@given(
    st.one_of(
        st.text(),
        st.integers().map(str),
        st.from_regex(
            r"(Mon, )?[0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} "
            r"[0-9]{1,3}:[0-9]{1,3}(:[0-9]{1,3})? ?([A-Z]{1,4}|[+-][0-9]{1,22})?",
            fullmatch=True,
        ),
    ),
    st.sampled_from([None, 200, 410, 429, 500, 503]),
    st.integers(0, 40),
    st.timedeltas(timedelta(), timedelta(days=8)),
    st.floats(0, 1),
)
def test_no_header_breaks_the_verdict(
    header: str, status: int | None, tries: int, failing: timedelta, jitter: float
) -> None:
    """Whatever `Retry-After` says there is a decision, and a retry comes no sooner than the schedule has it
    and no later than a day.
    """
    found = decision(tries, status, header, failing, jitter)
    if found.at:
        assert timedelta(seconds=4) <= found.at - NOW <= timedelta(hours=24) * 1.2
        assert found.postponed or found.at - NOW == schedule.with_jitter(
            schedule.DELAYS[min(max(tries, 1), 9) - 1], jitter
        )


@pytest.mark.parametrize("header", ["0", "1", "4", "Mon, 02 Mar 2026 11:00:00 GMT"])
def test_retry_after_never_shortens_the_schedule(header: str) -> None:
    """A wait shorter than the schedule's leaves the schedule as it is, and the attempt counts."""
    for tries, delay in enumerate(schedule.DELAYS, 1):
        assert decision(tries, 429, header) == RetryDecision(next=Next.RETRY, at=NOW + delay)


def test_a_postponed_attempt_is_no_try_and_slows_down_with_the_schedule() -> None:
    """A longer wait is kept and does not count.

    A receiver that postpones for ever is called no more often than the schedule permits.
    """
    assert decision(1, 429, "8") == RetryDecision(
        next=Next.RETRY, at=NOW + timedelta(seconds=8), postponed=True
    )
    assert decision(1, 429, "8", timedelta(minutes=6)) == RetryDecision(
        next=Next.RETRY, at=NOW + timedelta(minutes=5), postponed=True
    )
    assert decision(1, 429, "8", timedelta(hours=20)) == RetryDecision(
        next=Next.RETRY, at=NOW + timedelta(hours=10), postponed=True
    )
    again = {"first_attempt_at": NOW, "failing_since": NOW, "now": NOW, "postponed": 1}
    assert after_failure(tries=1, status=429, retry_after="8", jitter=1, **again).at == NOW + timedelta(
        seconds=13
    )
    assert after_failure(tries=1, status=429, retry_after="3600", jitter=1, **again).at == NOW + timedelta(
        seconds=4320
    )
    assert decision(1, 429, "80000", timedelta(hours=20)) == RetryDecision(
        next=Next.RETRY, at=NOW + timedelta(seconds=80000), postponed=True
    )


@pytest.mark.parametrize(("status", "seconds"), [(429, 60), (503, 60), (500, 5), (None, 5), (404, 5)])
def test_only_429_and_503_may_say_when(status: int | None, seconds: int) -> None:
    """`Retry-After` counts on 429 and 503, nowhere else."""
    assert decision(status=status, retry_after="60").at == NOW + timedelta(seconds=seconds)


def test_410_and_five_days_switch_off() -> None:
    """Gone switches off at once, failing after five days; the delivery is paused either way."""
    assert decision(status=410) == RetryDecision(next=Next.PAUSE, switch_off="gone")
    assert decision(10, failing=timedelta(days=5)) == RetryDecision(next=Next.PAUSE, switch_off="failing")
    assert decision(10, failing=timedelta(days=4, hours=23)).at == NOW + timedelta(hours=24)


@pytest.mark.parametrize("tries", [1, 10, 1000])
def test_a_delivery_is_given_up_by_time_and_only_when_others_got_through(tries: int) -> None:
    """When the schedule's length is over and the endpoint has worked since the first attempt, and not a
    moment before.
    """
    common = {"tries": tries, "status": 500, "retry_after": None, "now": NOW, "jitter": 0.5}
    assert timedelta(hours=75) < schedule.LENGTH < timedelta(hours=76)
    first = NOW - schedule.LENGTH
    assert (
        after_failure(first_attempt_at=first, failing_since=NOW - timedelta(days=1), **common).next
        is Next.GIVE_UP
    )
    assert after_failure(first_attempt_at=first, failing_since=first, **common).next is Next.RETRY
    later = first + timedelta(milliseconds=1)
    assert (
        after_failure(first_attempt_at=later, failing_since=NOW - timedelta(days=1), **common).next
        is Next.RETRY
    )


def test_probes_slow_down() -> None:
    """Probes come after 1, 2, 4, 8, 16 and then every 24 hours."""
    assert [probe_delay(probes, 0.5) / timedelta(hours=1) for probes in range(7)] == [1, 2, 4, 8, 16, 24, 24]
