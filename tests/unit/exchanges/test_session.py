"""A line's orders as they leave."""

import time
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.exchanges.rate_limiter import Limits, Patience, Rate
from chalicelib.exchanges.session import ExchangeSession
from chalicelib.trading import MarketType

GAP_S = 0.1


@pytest.mark.parametrize(("waits", "least"), [([0.0, 0.05, 0.05], GAP_S), ([0.0, 0.0, 0.0], 0.0)])
def test_an_order_that_was_late_does_not_come_close_to_the_next(waits: list[float], least: float) -> None:
    """Where orders wait for the account's limit they leave as far apart as it says, however long one was kept
    after its turn.
    """
    sent: list[float] = []
    turns = iter(waits)
    limits = Limits(Rate(1 / GAP_S, 1), Rate(100, 100))
    limiter: Any = SimpleNamespace(
        limits=limits,
        take=lambda scope, *_, **__: next(turns) if scope == "account" else 0.0,
        apply_server_limits=lambda _: None,
    )
    exchange: Any = SimpleNamespace(
        name="bybit",
        place=lambda _: sent.append(time.monotonic()),
        pacing=None,
        throttle=lambda _: None,
        order_weight=2,
    )
    order: Any = SimpleNamespace(stop_price=None)
    line = ExchangeSession(exchange, None, MarketType.FUTURES, limiter, Patience(5))  # type: ignore[arg-type]  # markets are not needed
    for kept_s in (0.0, 0.08, 0.0):
        line.acquire(order)
        time.sleep(kept_s)
        line.place(order)
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert min(gaps) >= least
    assert (gaps[1] >= GAP_S) is bool(least)
