"""The scheduled function that keeps the instruments' rules.

Every venue once an hour, one that fails not at the others' cost.
"""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import aws
from chalicelib.exchanges import market_store, registry
from chalicelib.trading import MarketType
from functions import refresh_markets
from simulator.fixtures import simulator, simulator_server
from testkit.gateway import CONTEXT

__all__ = ["simulator", "simulator_server"]

EXCHANGES = ("binance", "bybit", "okx")
VENUES = [
    market_store.venue(name, each, demo=demo)
    for name in EXCHANGES
    for each in MarketType
    for demo in (False, True)
]


@pytest.fixture
def fetched(emulated: None, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What is fetched of which exchange; two instruments each."""
    calls: list[tuple] = []

    def fetch(exchange: str, market_type: MarketType, *, demo: bool) -> dict:
        calls.append((exchange, market_type, demo))
        return {"BTCUSDT": {"active": True, "tick": "0.1"}, "ETHUSDT": {"active": True, "tick": "0.01"}}

    monkeypatch.setenv("TRADEHOOK_EXCHANGES", "binance bybit okx")
    monkeypatch.setattr(registry, "fetch_markets", fetch)
    market_store.forget()
    return calls


def test_every_venue_once_an_hour(fetched: list[tuple]) -> None:
    """All at first; then none, until one is an hour old."""
    assert refresh_markets.handler({}, CONTEXT) == {"venues": len(VENUES)}
    assert refresh_markets.handler({}, CONTEXT) == {"venues": 0}
    old = (datetime.now(UTC) - timedelta(minutes=61)).isoformat()
    aws.write(aws.update_write("markets", {"listing": f"{VENUES[0]}#"}, "SET refreshed_at = :old", old=old))
    assert refresh_markets.handler({}, CONTEXT) == {"venues": 1}
    assert len(fetched) == len(VENUES) + 1


def test_one_that_fails_keeps_what_it_has(fetched: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are refreshed; the failed one is tried again the next time."""
    refresh_markets.handler({}, CONTEXT)
    for venue in VENUES:
        aws.write(
            aws.update_write(
                "markets",
                {"listing": f"{venue}#"},
                "SET refreshed_at = :old",
                old="2026-01-01T00:00:00+00:00",
            )
        )
    fetch = registry.fetch_markets

    def failing(exchange: str, market_type: MarketType, *, demo: bool) -> dict:
        if exchange == "okx":
            raise RuntimeError("out of service")
        return fetch(exchange, market_type, demo=demo)

    monkeypatch.setattr(registry, "fetch_markets", failing)
    assert refresh_markets.handler({}, CONTEXT) == {"venues": len(VENUES) - 4}
    market_store.forget()
    stored = market_store.StoredMarkets("okx", MarketType.SPOT, demo=False)
    assert (stored.get("BTCUSDT") or {})["tick"] == "0.1"
    monkeypatch.setattr(registry, "fetch_markets", fetch)
    assert refresh_markets.handler({}, CONTEXT) == {"venues": 4}


def test_from_the_exchanges_themselves(simulator, emulated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they list is stored as the order path reads it."""
    monkeypatch.setenv("TRADEHOOK_EXCHANGES", "bybit")
    market_store.forget()
    assert refresh_markets.handler({}, CONTEXT) == {"venues": 4}
    stored = market_store.StoredMarkets("bybit", MarketType.FUTURES, demo=False)
    assert (stored.get("BTCUSDT") or {})["active"] is not False
