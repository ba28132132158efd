"""Counting what a token sends: exact in any order of arrivals, by the minute, and remembered as last use."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import aws
from chalicelib.users import signal_quota
from chalicelib.users.signal_quota import PARTS, Usage

NOW = datetime(2026, 1, 22, 15, 30, 20, tzinfo=UTC)
MINUTE = "2026-01-22T15:30"


def read(limit: int) -> Usage:
    """The token's usage, as acceptance reads it."""
    return Usage("1", "hash", aws.get_many(signal_quota.item_keys("1", "hash")), limit)


def count(token: Usage, at: datetime = NOW, *, closing: bool = False) -> bool:
    """Counts one signal, as acceptance does; whether it was let through."""
    while True:
        part, write = token.write(at, closing=closing)
        try:
            aws.transact([write])
        except aws.WriteRefused as refused:
            token.learn(part, refused.failed[0] or {})
            if token.full(at, closing=closing):
                return False
        else:
            return True


@pytest.mark.parametrize("limit", [1, 3, 4, 10])
def test_exactly_the_limit(emulated, limit):
    """Exactly the limit passes in a minute, whether each reads again or all read before any writes."""
    assert [count(read(limit)) for _ in range(limit + 3)] == [True] * limit + [False] * 3
    at = NOW + timedelta(minutes=1)
    at_once = [read(limit) for _ in range(limit + 3)]
    assert [count(each, at) for each in at_once] == [True] * limit + [False] * 3


def test_what_closes_has_a_reserve(emulated):
    """At the limit a position can still be closed, up to as many times again."""
    assert [count(read(2)) for _ in range(3)] == [True, True, False]
    assert [count(read(2), closing=True) for _ in range(3)] == [True, True, False]


def test_a_request_of_the_minute_before(emulated):
    """A request that was overtaken by the turn of the minute counts in the new one, and takes nothing from
    it.
    """
    assert count(read(4), NOW + timedelta(minutes=1))
    assert [count(read(4)) for _ in range(9)].count(True) >= 3
    assert (
        sum(
            int(part["used"])
            for part in aws.get_many(signal_quota.item_keys("1", "hash"))
            if part and part["minute"] != MINUTE
        )
        <= 4
    )


def test_last_use(emulated):
    """The last use of a token is that of whichever part was written last."""
    for second in range(6):
        count(read(100), NOW + timedelta(seconds=second))
    assert signal_quota.last_used("1") == {"hash": (NOW + timedelta(seconds=5)).isoformat()}
    assert signal_quota.last_used("2") == {}


@settings(deadline=None)
@given(st.integers(1, 10_000), st.booleans())
def test_the_parts_share_the_limit(limit, closing):
    """The shares of the parts are the whole limit, twice that for what closes."""
    full = [{"minute": MINUTE, "used": 10**9}] * PARTS
    room = 0
    for part in range(PARTS):
        used = 0
        while not Usage(
            "1", "h", [*full[:part], {"minute": MINUTE, "used": used}, *full[part + 1 :]], limit
        ).full(NOW, closing=closing):
            used = used * 2 + 1
        low, high = used // 2, used
        while low < high:
            middle = (low + high) // 2
            known = [*full[:part], {"minute": MINUTE, "used": middle}, *full[part + 1 :]]
            low, high = (
                (low, middle)
                if Usage("1", "h", known, limit).full(NOW, closing=closing)
                else (middle + 1, high)
            )
        room += low
    assert room == limit * (2 if closing else 1)
