"""The route that says what a symbol's price is, and where it comes from."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.prices import store as prices
from chalicelib.trading import MarketType
from functions import serve_api
from testkit.api import Api
from testkit.gateway import call


@pytest.fixture
def ask(api: Api) -> Any:
    """`GET /prices` of user 7."""

    def asked(**query: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {api.tokens['7']}"}
        status, body, _ = call(serve_api.app, "GET", "/prices", query=query, headers=headers)
        return status, body

    return asked


def save(minutes: int, *, exchange: str = "paper", market_type: MarketType = MarketType.SPOT) -> None:
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    live = prices.LivePrice("BTCUSDT", exchange, market_type, Decimal(51000), at, "bybit")
    prices.save_live_prices([live])


def test_the_best_price_is_shown_with_its_source(api: Api, ask: Any) -> None:
    """Live while fresh, else the newest of the user's own and everybody's."""
    assert ask(symbol="BTCUSDT")[1]["code"] == "no_price"
    api("1", "POST", "/paper/prices", {"symbol": "BTCUSDT", "price": 49000})
    status, everybody = ask(symbol="BTC/USDT")
    assert status == 200
    assert (everybody["price"], everybody["source"]) == (49000, "everybody")
    api("7", "POST", "/paper/prices", {"symbol": "BTCUSDT", "price": 50000})
    assert ask(symbol="BTCUSDT")[1]["source"] == "user"
    save(minutes=1)
    shown = ask(symbol="BTCUSDT")[1]
    assert (shown["price"], shown["source"], shown["ticker_of"]) == (51000, "live", "bybit")
    save(minutes=6)
    assert ask(symbol="BTCUSDT")[1]["source"] == "user"


def test_each_exchange_and_market_has_its_own_live_price(ask: Any) -> None:
    """The paper accounts' spot price unless another one is asked for."""
    save(minutes=0, exchange="binance", market_type=MarketType.FUTURES)
    assert ask(symbol="BTCUSDT")[1]["code"] == "no_price"
    shown = ask(symbol="BTCUSDT", exchange="binance", market_type="futures")[1]
    assert (shown["exchange"], shown["market_type"], shown["price"]) == ("binance", "futures", 51000)


@pytest.mark.parametrize(
    "query",
    [{}, {"symbol": "BTCUSDT", "exchange": "nowhere"}, {"symbol": "BTCUSDT", "market": "spot"}],
    ids=["no symbol", "unknown exchange", "unknown parameter"],
)
def test_what_is_not_understood_is_refused(ask: Any, query: dict[str, str]) -> None:
    """The query is closed."""
    assert ask(**query)[0] == 400
