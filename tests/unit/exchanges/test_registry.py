"""The registry, and exchanges nobody has written particulars for."""

from decimal import Decimal

import pytest

from chalicelib.errors import NotDoable, OutcomeUnknown, Retryable
from chalicelib.exchanges import registry
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.trading import MarketType
from tests.contract.exchanges import desk as desks
from tests.contract.exchanges.desk import BUY, SELL, SimulatedDesk
from tests.simulator.client import Simulator


@pytest.fixture
def desk(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> SimulatedDesk:
    """Binance spot, as if nothing were known of it."""
    monkeypatch.setattr(registry, "_TESTED", {})
    monkeypatch.setattr(desks, "stored_markets", registry.fetch_markets)
    return SimulatedDesk("binance", MarketType.SPOT, simulator)


def test_what_is_tested_is_marked():
    """The three exchanges with particulars are conformance-tested, any other is not."""
    assert [registry.conformance_tested(each) for each in ("binance", "bybit", "okx", "kraken")] == [True, True, True, False]


def test_other_exchanges_are_reached_by_name(simulator: Simulator):
    """Any exchange of ccxt's opens by its name, and one that ccxt has not fails when it is opened."""
    credentials = simulator.account("binance")
    assert "kraken" in repr(registry.open_exchange("kraken", MarketType.SPOT, credentials, {}))
    with pytest.raises(ModuleNotFoundError):
        registry.open_exchange("nowhere", MarketType.SPOT, credentials, {})


def test_generic_orders_fill_and_are_found(desk: SimulatedDesk):
    """Through ccxt's unified methods alone an order is placed, found by its client id, cancelled and listed."""
    limit = desk.order(BUY, "0.1", price="49000")
    placed = desk.exchange.place(limit)
    assert (OrderStatus.OPEN, Decimal(49000)) == (placed.status, placed.price)
    assert [limit.client_order_id] == [each.client_order_id for each in desk.exchange.open_orders(desk.instrument)]
    desk.exchange.cancel_all(desk.instrument)
    assert list(desk.exchange.open_orders(desk.instrument)) == []
    assert Decimal(50000) == desk.exchange.last_price(desk.instrument)
    assert {"USDT", "BTC"} == {each.currency for each in desk.exchange.balances()}


def test_generic_failures_are_unknown(desk: SimulatedDesk):
    """Nothing is known of the exchange's codes, so a refusal too is unknown, and is settled by looking."""
    with pytest.raises(OutcomeUnknown):
        desk.exchange.place(desk.order(SELL, "100"))


def test_generic_cancels_by_symbol_only(desk: SimulatedDesk):
    """What an unknown exchange would cancel without a symbol is not tried."""
    with pytest.raises((NotDoable, Retryable)) as refusal:
        desk.exchange.cancel_all()
    assert refusal.value.code == "exchange_needs_symbol"
