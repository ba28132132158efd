"""The limits that all workers share.

In none of an exchange's windows more passes than it allows, and nearly all of it does.
"""

import heapq
from collections.abc import Iterator

import pytest

from chalicelib import aws
from chalicelib.errors import Misconfigured, Retryable
from chalicelib.exchanges import rate_limiter
from chalicelib.exchanges.protocol import Pacing
from chalicelib.exchanges.rate_limiter import Limiter
from chalicelib.trading import MarketType

DOCUMENTED = {
    ("binance", MarketType.SPOT): (100, 10),
    ("binance", MarketType.FUTURES): (300, 10),
    ("bybit", MarketType.SPOT): (20, 1),
    ("bybit", MarketType.FUTURES): (10, 1),
    ("okx", MarketType.SPOT): (60, 2),
    ("okx", MarketType.FUTURES): (60, 2),
}
"""Orders per account: number and seconds."""

A_MINUTE = {("binance", MarketType.FUTURES): 1200}
"""Orders per account and minute, if that is less."""


WEIGHTS = {
    ("binance", MarketType.SPOT): (6000, 60),
    ("binance", MarketType.FUTURES): (2400, 60),
    ("bybit", MarketType.SPOT): (600, 5),
    ("bybit", MarketType.FUTURES): (600, 5),
    ("okx", MarketType.SPOT): (20, 2),
    ("okx", MarketType.FUTURES): (20, 2),
}
"""Weight per address: weight and seconds."""


class Clock:
    """Time that only moves when a worker waits for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        monkeypatch.setattr(rate_limiter.time, "time", lambda: self.now)
        monkeypatch.setattr(rate_limiter.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(rate_limiter.time, "sleep", lambda _: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The table is a dictionary here: these tests make thousands of calls.

    (That DynamoDB understands them, the orders' tests show.)
    """
    booked: dict[str, int] = {}

    def move(bucket: str, _expression: str, condition: str, **values: int) -> int:
        there = booked.get(bucket, 0)
        holds = {
            "attribute_not_exists(booked_until) OR booked_until < :now": there < values.get("now", 0),
            "attribute_not_exists(booked_until) OR booked_until < :until": there < values.get("until", 0),
            "booked_until BETWEEN :now AND :latest": values.get("now", 0) <= there <= values.get("latest", 0),
        }
        if not holds[condition]:
            raise aws.WriteRefused([{"booked_until": there}])
        booked[bucket] = values["until"] if "until" in values else there + values["cost"]
        return booked[bucket]

    rate_limiter.forget()
    clock = Clock(monkeypatch)
    monkeypatch.setattr(rate_limiter, "_move", move)
    yield clock
    monkeypatch.undo()
    rate_limiter.forget()


def passed(clock: Clock, limiters: list[Limiter], scope: str, seconds: float, tokens: int = 1) -> list[float]:
    """The moments at which calls are let through, with as many workers asking all the time."""
    asking = [(clock.now, number) for number in range(len(limiters))]
    began, moments = clock.now, []
    while asking[0][0] < began + seconds:
        clock.now, number = heapq.heappop(asking)
        try:
            wait = limiters[number].take(scope, tokens)
        except Retryable:
            heapq.heappush(asking, (clock.now + 5, number))
            continue
        moments.append(clock.now + wait)
        heapq.heappush(asking, (clock.now + wait, number))
    return sorted(moment for moment in moments if moment < began + seconds)


@pytest.mark.parametrize("venue", DOCUMENTED, ids="-".join)
def test_no_window_is_overrun_and_little_is_left(clock: Clock, venue: tuple[str, MarketType]) -> None:
    """Ten workers of one account ask all the time.

    In no window more orders than allowed, and nine tenths of what a minute allows.
    """
    allowed, window = DOCUMENTED[venue]
    moments = passed(clock, [Limiter(*venue, "1") for _ in range(10)], "account", 60)
    assert all(
        later - earlier >= window * 0.999 for earlier, later in zip(moments, moments[allowed:], strict=False)
    )
    assert len(moments) >= 0.9 * A_MINUTE.get(venue, allowed * 60 / window)


@pytest.mark.parametrize(
    ("market_type", "allowed", "least"), [(MarketType.SPOT, 6000, 0.8), (MarketType.FUTURES, 2400, 0.8)]
)
def test_a_weight_that_the_exchange_counts_is_used_up_at_once(
    clock: Clock, market_type: MarketType, allowed: int, least: float
) -> None:
    """Two hundred accounts behind one address.

    Most of a minute's weight in its first second, and in no minute more than it allows.
    """
    limiters = [Limiter("binance", market_type, str(number)) for number in range(200)]
    clock.now = began = 1_000_020.0  # a whole minute
    used: dict[int, int] = {}
    asking = [(clock.now, number) for number in range(len(limiters))]
    while asking[0][0] < began + 180:
        clock.now, number = heapq.heappop(asking)
        try:
            clock.now += limiters[number].take("address", 40)
        except Retryable:
            heapq.heappush(asking, (clock.now + 5, number))
            continue
        minute = int(clock.now // 60)
        used[minute] = used.get(minute, 0) + 40
        limiters[number].apply_server_limits(Pacing(used_weight=used[minute]))
        heapq.heappush(asking, (clock.now + 0.1, number))
    assert max(used.values()) <= allowed
    assert all(weight >= least * allowed for weight in list(used.values())[:3])


def test_both_markets_of_an_address_share_a_weight(clock: Clock) -> None:
    """Bybit counts 600 calls in 5 s, whichever market they are for."""
    limiters = [Limiter("bybit", MarketType(each), "1") for each in ("spot", "futures") for _ in range(5)]
    moments = passed(clock, limiters, "address", 15, tokens=10)
    assert all(later - earlier >= 5 * 0.999 for earlier, later in zip(moments, moments[60:], strict=False))
    assert len(moments) * 10 >= 0.85 * 600 * 3


def test_a_lease_may_not_be_used_before_its_time(clock: Clock) -> None:
    """What another thread of the process has booked for later is not there at once."""
    first, second = (Limiter("bybit", MarketType.SPOT, "1") for _ in range(2))
    waits = [each.take("address", 10) for _ in range(8) for each in (first, second)]
    assert waits == sorted(waits)
    assert waits[-1] > 0.9


def test_a_limit_that_is_not_in_use_is_leased_in_one_write(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty calls of an idle address cost one write."""
    made = []
    move = rate_limiter._move
    monkeypatch.setattr(
        rate_limiter, "_move", lambda *arguments, **more: made.append(arguments) or move(*arguments, **more)
    )
    one = Limiter("binance", MarketType.SPOT, "1")
    assert [one.take("address", 1) for _ in range(40)] == [0.0] * 40
    assert len(made) == 1


def test_what_is_left_of_a_lease_is_used_before_more_is_booked(clock: Clock) -> None:
    """Calls of 20 pass as fast as the rate says, though the leases do not come in twenties."""
    one = Limiter("binance", MarketType.SPOT, "1")
    assert [one.take("address", weight) for weight in (1, 20, 30, 29)] == [0.0] * 4  # two leases of 40
    assert one.take("address", one.limits.weight.burst - 80) == pytest.approx(0, abs=1e-4)
    assert one.take("address", 90) == pytest.approx(1, abs=1e-4)


def test_nothing_is_taken_for_which_there_is_no_time(clock: Clock) -> None:
    """A caller that cannot wait that long leaves the limit to the others."""
    one = Limiter("bybit", MarketType.FUTURES, "1")
    assert one.take("account", 1) == 0.0
    assert one.take("account", 18, within=2) == pytest.approx(2.0)
    for _ in range(3):
        with pytest.raises(Retryable):
            one.take("account", 1, within=2)
    assert one.take("account", 1, within=3) == pytest.approx(2 + 1 / 9)


def test_whoever_is_ahead_stops_nobody(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred workers that know nothing of each other's bookings: each is let in, with few writes."""
    made = []
    move = rate_limiter._move
    monkeypatch.setattr(
        rate_limiter, "_move", lambda *arguments, **more: made.append(arguments) or move(*arguments, **more)
    )
    waits = []
    for _ in range(200):
        rate_limiter.forget()  # a process of its own
        waits.append(Limiter("bybit", MarketType.FUTURES, "1").take("account", 1))
    assert waits == pytest.approx([number / 9 for number in range(200)], abs=1e-3)
    assert len(made) < 2 * 200 + 2


@pytest.mark.parametrize("venue", DOCUMENTED, ids="-".join)
def test_a_share_of_the_limits_leaves_the_others_theirs(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, venue: tuple[str, MarketType]
) -> None:
    """Half of the limits is half of the orders and half of the weight, in every window."""
    monkeypatch.setenv("TRADEHOOK_EXCHANGE_SHARES", "binance:50 bybit:50 okx:50")
    allowed, window = DOCUMENTED[venue]
    moments = passed(clock, [Limiter(*venue, "1") for _ in range(10)], "account", 60)
    assert all(
        later - earlier >= window * 0.999
        for earlier, later in zip(moments, moments[allowed // 2 :], strict=False)
    )
    assert len(moments) >= 0.45 * A_MINUTE.get(venue, allowed * 60 / window)
    rate_limiter.forget()
    weight, window = WEIGHTS[venue]
    moments = passed(clock, [Limiter(*venue, "1") for _ in range(10)], "address", 120)
    assert all(
        later - earlier >= window * 0.999
        for earlier, later in zip(moments, moments[weight // 2 :], strict=False)
    )
    assert len(moments) >= 0.39 * weight * 120 / window


@pytest.mark.parametrize(
    "shares",
    [
        "binance",
        "binance:",
        "binance:0",
        "binance:101",
        "binance:5.5",
        "binance:-5",
        "kraken:50",
        "okx:5 okx:6",
    ],
)
def test_nonsense_is_no_share(monkeypatch: pytest.MonkeyPatch, shares: str) -> None:
    """A share is a whole number of percent of an exchange that is traded on, named once."""
    monkeypatch.setenv("TRADEHOOK_EXCHANGE_SHARES", shares)
    with pytest.raises(Misconfigured, match="TRADEHOOK_EXCHANGE_SHARES"):
        Limiter("bybit", MarketType.SPOT, "1")


def test_a_whole_share_is_the_whole_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 percent is as if nothing had been said, and one exchange's share is none of another's."""
    whole = rate_limiter.limits_of("binance", MarketType.SPOT)
    monkeypatch.setenv("TRADEHOOK_EXCHANGE_SHARES", "binance:100 okx:1")
    assert rate_limiter.limits_of("binance", MarketType.SPOT) == whole
    assert rate_limiter.limits_of("okx", MarketType.SPOT).weight == rate_limiter.Rate(0.08, 1)
