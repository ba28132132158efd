"""Market metadata: plain JSON, base units, no call on the order path."""

import json
from decimal import Decimal

import pytest

from chalicelib.errors import NotDoable
from chalicelib.exchanges import registry
from chalicelib.exchanges.markets import Listings
from chalicelib.exchanges.protocol import Credentials, Instrument
from chalicelib.signals.models import MarketType
from tests.simulator.client import Simulator
from tests.simulator.fixtures import VENUES, stored_markets

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
    """What the exchange lists comes back from JSON as the instrument's rules, in base units also where contracts are counted."""
    stored = json.loads(json.dumps(stored_markets(exchange, market_type)))
    found = Listings(market_type, stored).of("BTC", "USDT").instrument

    tick, step, minimum, notional, contract = (None if each is None else Decimal(each) for each in STEPS[exchange, market_type.value])
    maximum = found.maximum_quantity
    assert Instrument("BTCUSDT", "BTC", "USDT", market_type, tick, step, minimum, maximum, notional, contract) == found


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


def test_unknown_and_closed_markets_are_refused():
    """A pair the exchange does not list, or does not trade now, is refused by name."""
    closed = {"name": "OLDUSDT", "base": "OLD", "quote": "USDT", "market_id": "OLDUSDT", "symbol": "OLD/USDT", "active": False}
    listings = Listings(MarketType.SPOT, {"OLDUSDT": {**closed, "price_tick": "1", "quantity_step": "1"}})
    for base, code in (("OLD", "symbol_not_traded"), ("NEW", "symbol_unknown")):
        with pytest.raises(NotDoable) as refusal:
            listings.of(base, "USDT")
        assert code == refusal.value.code


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
