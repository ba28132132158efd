"""Live prices over the real adapter, from the simulated exchanges."""

import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.exchanges import rate_limiter
from chalicelib.paper import store as paper_store
from chalicelib.paper.book import Holding
from chalicelib.prices import fetch
from chalicelib.prices import store as prices
from chalicelib.trading import MarketType
from simulator.client import Simulator
from simulator.fixtures import simulator, simulator_server
from testkit.records import add_account, add_user

__all__ = ["simulator", "simulator_server"]


@pytest.fixture(autouse=True)
def _as_new(emulated: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TRADEHOOK_EXCHANGES", "binance bybit okx")
    fetch.forget()
    rate_limiter.forget()
    add_user("1")
    yield
    fetch.forget()


def hold(exchange: str) -> None:
    """A demo account without keys that holds half a bitcoin."""
    account_id = add_account("1", exchange, kind="demo", exchange=exchange, currency="USDT")
    account = Account.model_validate(aws.get("accounts", {"account_id": account_id}))
    book = paper_store.read_book(account)
    book.holdings["BTC"] = Holding(Decimal("0.5"), Decimal(50000))
    book.changed.add("asset#BTC")
    aws.transact(paper_store.effect_writes(book))


def test_a_holding_is_valued_by_its_own_exchange(simulator: Simulator) -> None:
    """Three exchanges, three prices, one call each, with room left under the limits."""
    for number, exchange in enumerate(("binance", "bybit", "okx")):
        simulator.price("BTCUSDT", str(50000 + number), exchange=exchange)
        hold(exchange)
    assert fetch.fetch_prices() == 3
    keys = [("BTCUSDT", exchange, MarketType.SPOT) for exchange in ("binance", "bybit", "okx")]
    found = prices.live_prices(keys)
    assert [each.price for each in found if each] == [50000, 50001, 50002]
    assert len(simulator.requests()) == 3


def test_without_a_network_a_look_is_quick_and_quiet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning an exchange; the next look does not even try."""
    monkeypatch.setenv("TRADEHOOK_EXCHANGE_ENDPOINT", "http://127.0.0.1:9")
    hold("binance")
    began = time.monotonic()
    assert [fetch.fetch_prices() for _ in range(5)] == [0] * 5
    assert time.monotonic() - began < 5
    assert [each.message for each in caplog.records if each.levelname == "WARNING"] == [
        "live prices not fetched, asking again in a minute"
    ]
