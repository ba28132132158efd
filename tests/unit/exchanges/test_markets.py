"""Market metadata: plain JSON, base units, no call on the order path."""

import json
from decimal import Decimal

import pytest

from chalicelib.errors import NotDoable
from chalicelib.exchanges import filters, registry
from chalicelib.exchanges.markets import Listings
from chalicelib.exchanges.protocol import Credentials, Instrument, OrderStatus
from chalicelib.trading import MarketType
from simulator.client import Simulator
from simulator.fixtures import VENUES, stored_markets
from tests.contract.exchanges.exchange_rig import BUY, make_order

STEPS = {
    ("binance", "spot"): ("0.01", "0.00001", "0.00001", "5", None),
    ("binance", "futures"): ("0.1", "0.001", "0.001", "100", "1"),
    ("bybit", "spot"): ("0.01", "0.000001", "0.000048", "5", None),
    ("bybit", "futures"): ("0.1", "0.001", "0.001", "5", "1"),
    ("okx", "spot"): ("0.1", "0.00000001", "0.00001", None, None),
    ("okx", "futures"): ("0.1", "0.0001", "0.0001", None, "0.01"),
}


@pytest.mark.parametrize(("exchange", "market_type"), VENUES)
def test_rules_survive_storage(simulator: Simulator, exchange, market_type):
    """What the exchange lists comes back from JSON as the instrument's rules, in base units also where
    contracts are counted.
    """
    stored = json.loads(json.dumps(stored_markets(exchange, market_type)))
    found = Listings(market_type, stored).of("BTC", "USDT").instrument

    tick, step, minimum, notional, contract = (
        None if each is None else Decimal(each) for each in STEPS[exchange, market_type.value]
    )
    maximum, at_market = found.maximum_quantity, (found.maximum_market_quantity, found.maximum_market_value)
    assert (
        Instrument(
            "BTCUSDT",
            "BTC",
            "USDT",
            market_type,
            tick,
            step,
            minimum,
            maximum,
            notional,
            contract,
            *at_market,
        )
        == found
    )


@pytest.mark.parametrize(("exchange", "market_type"), VENUES)
def test_the_largest_order_at_market(simulator: Simulator, exchange, market_type):
    """It is smaller than the largest limit order, in base units.

    Of OKX spot an amount of quote currency, by the price.
    """
    simulator.call("POST", "book", symbol="BTCUSDT", market_maximum="120", market_value="5000000")
    found = Listings(market_type, registry.fetch_markets(exchange, market_type)).of("BTC", "USDT").instrument

    value = (exchange, market_type) == ("okx", MarketType.SPOT)
    assert (found.maximum_market_quantity, found.maximum_market_value) == (
        (None, 5_000_000) if value else (120, None)
    )
    assert filters.largest_at_market(found, Decimal(50000)) == (100 if value else 120)


@pytest.mark.parametrize(("exchange", "market_type"), VENUES)
def test_opening_an_exchange_calls_nothing(simulator: Simulator, exchange, market_type):
    """An instrument comes from the stored metadata, and the first call is the one that is wanted."""
    stored = stored_markets(exchange, market_type)
    simulator.reset()
    opened = registry.open_exchange(exchange, market_type, simulator.account(exchange), stored)
    opened.instrument("ETH", "USDT")
    assert simulator.requests() == []
    opened.last_price(opened.instrument("ETH", "USDT"))
    assert len(simulator.requests()) == 1


def test_unknown_markets_are_refused():
    """A pair the exchange does not list is refused by name."""
    with pytest.raises(NotDoable, match="symbol_unknown"):
        Listings(MarketType.SPOT, {}).of("NEW", "USDT")


@pytest.mark.parametrize(("exchange", "market_type"), VENUES)
def test_a_suspended_market_can_be_left(simulator: Simulator, exchange, market_type):
    """A suspended market takes no new order, while open ones are still found and cancelled."""
    stored = stored_markets(exchange, market_type)
    credentials = simulator.account(
        exchange, balances={"spot": {"USDT": "10000"}, "futures": {"USDT": "10000"}}
    )
    before = registry.open_exchange(exchange, market_type, credentials, stored)
    order = make_order(before.instrument("BTC", "USDT"), "a", BUY, "0.1", price="40000")
    placed = before.place(order)

    suspended = {name: {**market, "active": False} for name, market in stored.items()}
    after = registry.open_exchange(exchange, market_type, credentials, suspended)

    with pytest.raises(NotDoable, match="symbol_not_traded"):
        after.place(order)
    assert after.cancel(placed, order.instrument).status is OrderStatus.CANCELLED


def test_demo_metadata_comes_from_the_test_environment(simulator: Simulator):
    """The test environments list other markets, so theirs are fetched from them."""
    registry.fetch_markets("bybit", MarketType.SPOT, demo=True)
    assert {"api-demo.bybit.com"} == {call["host"] for call in simulator.requests()}


@pytest.mark.parametrize(
    ("exchange", "market_type", "host"),
    [
        ("binance", MarketType.SPOT, "demo-api.binance.com"),
        ("binance", MarketType.FUTURES, "demo-fapi.binance.com"),
        ("bybit", MarketType.SPOT, "api-demo.bybit.com"),
        ("okx", MarketType.SPOT, "www.okx.com"),
    ],
)
def test_demo_accounts_use_the_test_environment(simulator: Simulator, exchange, market_type, host):
    """Every call of a demo account goes to the exchange's own test environment."""
    live = simulator.account(exchange, balances={"spot": {"USDT": "1"}, "futures": {"USDT": "1"}})
    demo = Credentials(live.api_key, live.secret, live.passphrase, demo=True)
    stored = stored_markets(exchange, market_type)
    registry.open_exchange(exchange, market_type, demo, stored).check_key()
    assert host == simulator.requests()[-1]["host"]
