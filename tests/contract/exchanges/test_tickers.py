"""The public ticker lists, from which simulated accounts have their prices: the same on every exchange."""

from decimal import Decimal

import pytest

from chalicelib.errors import Retryable
from chalicelib.exchanges import registry
from chalicelib.exchanges.protocol import RateLimited
from chalicelib.trading import MarketType
from simulator.client import Simulator
from simulator.fixtures import VENUES
from tests.contract.exchanges.exchange_rig import ExchangeRig


def test_one_call_without_a_key_gives_every_price_with_the_extremes_of_the_day(
    rig: ExchangeRig, simulator: Simulator
) -> None:
    """Names are the instruments' own on every exchange, and each list is one market's."""
    rig.move("52000")
    rig.move("48000")
    rig.move("51000")
    before = len(simulator.requests())
    weights: list[int] = []

    found, _ = registry.fetch_tickers(rig.name, rig.market_type, weights.append)

    bitcoin = found["BTCUSDT"]
    assert (Decimal(51000), Decimal(52000), Decimal(48000)) == (bitcoin.price, bitcoin.high, bitcoin.low)
    assert {"BTCUSDT", "ETHUSDT", "SOLUSDT"} == set(found)
    [call] = simulator.requests()[before:]
    assert call["api_key"] == ""
    assert len(weights) == 1
    assert weights[0] >= 1


@pytest.mark.parametrize(("exchange", "market_type"), VENUES)
@pytest.mark.parametrize("kind", ["html", "reset", "503", "empty"])
def test_no_readable_answer_is_worth_another_try(
    simulator: Simulator, exchange: str, market_type: MarketType, kind: str
) -> None:
    """It is never taken for an empty market."""
    simulator.fault(kind=kind, exchange=exchange)
    with pytest.raises(Retryable):
        registry.fetch_tickers(exchange, market_type, lambda _weight: None)


@pytest.mark.parametrize(("exchange", "market_type"), VENUES)
def test_a_limit_is_told_apart(simulator: Simulator, exchange: str, market_type: MarketType) -> None:
    """So that all workers behind the address keep away."""
    simulator.fault(kind="429", exchange=exchange)
    with pytest.raises(RateLimited):
        registry.fetch_tickers(exchange, market_type, lambda _weight: None)


def test_a_market_that_a_site_does_not_have_is_not_asked() -> None:
    """Binance.US has spot only."""
    assert registry.fetch_tickers("binanceus", MarketType.FUTURES, lambda _weight: None)[0] == {}
