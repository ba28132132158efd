"""The registry, and exchanges without a dialect of their own."""

from decimal import Decimal

import pytest

from chalicelib.errors import NotDoable, OutcomeUnknown, Retryable
from chalicelib.exchanges import rate_limiter, registry
from chalicelib.exchanges.dialects import families
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.trading import MarketType
from simulator.client import Simulator
from tests.contract.exchanges import exchange_rig as desks
from tests.contract.exchanges.exchange_rig import BUY, SELL, SimulatedRig


@pytest.fixture
def client(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> SimulatedRig:
    """Binance spot, as if nothing were known of it."""
    monkeypatch.setattr(registry, "_TESTED", {})
    monkeypatch.setattr(desks, "stored_markets", registry.fetch_markets)
    return SimulatedRig("binance", MarketType.SPOT, simulator)


def test_what_is_tested_is_marked():
    """The three exchanges with particulars are conformance-tested, any other is not."""
    assert [registry.is_conformance_tested(each) for each in ("binance", "bybit", "okx", "kraken")] == [
        True,
        True,
        True,
        False,
    ]


def test_other_exchanges_are_reached_by_name(simulator: Simulator):
    """Any exchange of ccxt's opens by its name, and one that ccxt has not fails when it is opened."""
    credentials = simulator.account("binance")
    assert "kraken" in repr(registry.open_exchange("kraken", MarketType.SPOT, credentials, {}))
    with pytest.raises(ModuleNotFoundError):
        registry.open_exchange("nowhere", MarketType.SPOT, credentials, {})


SITES = {
    "binanceus": "api.binance.us",
    "bybiteu": "api.bybit.eu",
    "myokx": "eea.okx.com",
    "okxus": "us.okx.com",
}


@pytest.mark.parametrize(("site", "host"), SITES.items())
def test_regional_sites_have_their_familys_particulars(simulator: Simulator, site: str, host: str):
    """Each trades at its own address, by its family's requests and codes, and shows its own name in a
    refusal.
    """
    family = families.family(site)
    credentials = simulator.account(family, balances={"spot": {"USDT": "1000"}})
    stored = registry.fetch_markets(site, MarketType.SPOT)
    exchange = registry.open_exchange(site, MarketType.SPOT, credentials, stored, pause_s=0.02)
    instrument = exchange.instrument("BTC", "USDT")
    assert (
        exchange.place(desks.make_order(instrument, "thregional1", BUY, "0.01")).status is OrderStatus.FILLED
    )
    with pytest.raises(NotDoable) as refusal:
        exchange.place(desks.make_order(instrument, "thregional2", BUY, "100"))
    assert (refusal.value.code, refusal.value.values["exchange"]) == ("exchange_insufficient_funds", site)
    assert {call["host"] for call in simulator.requests()} == {host}
    assert registry.is_conformance_tested(site)
    assert rate_limiter.limits_of(site, MarketType.SPOT) != rate_limiter.limits_of("kraken", MarketType.SPOT)


@pytest.mark.parametrize("site", sorted(families.SPOT_ONLY))
def test_sites_without_futures_list_none(site: str):
    """They get no request for a market that they do not have."""
    assert registry.fetch_markets(site, MarketType.FUTURES) == {}


def test_generic_orders_fill_and_are_found(client: SimulatedRig):
    """With ccxt's unified methods alone an order is placed, found by client id, cancelled and listed."""
    limit = client.order(BUY, "0.1", price="49000")
    placed = client.exchange.place(limit)
    assert (OrderStatus.OPEN, Decimal(49000)) == (placed.status, placed.price)
    assert [limit.client_order_id] == [
        each.client_order_id for each in client.exchange.open_orders(client.instrument)
    ]
    client.exchange.cancel_all(client.instrument)
    assert list(client.exchange.open_orders(client.instrument)) == []
    assert Decimal(50000) == client.exchange.last_price(client.instrument)
    assert {"USDT", "BTC"} == {each.currency for each in client.exchange.balances()}


def test_generic_failures_are_unknown(client: SimulatedRig):
    """Nothing is known of the exchange's codes, so a refusal too is unknown, and is settled by looking."""
    with pytest.raises(OutcomeUnknown):
        client.exchange.place(client.order(SELL, "100"))


def test_generic_cancels_by_symbol_only(client: SimulatedRig):
    """What an unknown exchange would cancel without a symbol is not tried."""
    with pytest.raises((NotDoable, Retryable)) as refusal:
        client.exchange.cancel_all()
    assert refusal.value.code == "exchange_needs_symbol"
