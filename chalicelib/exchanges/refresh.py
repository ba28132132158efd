"""The scheduled refresh of market metadata."""

from datetime import UTC, datetime, timedelta

from chalicelib import config
from chalicelib.exchanges import market_store, registry
from chalicelib.telemetry import log
from chalicelib.trading import MarketType

_AFTER = timedelta(hours=1)


def refresh() -> int:
    """Fetches the metadata of every venue without metadata or with metadata older than an hour.

    Returns the number of venues.

    If a venue cannot be fetched, it keeps its metadata and the next refresh tries again.
    """
    done = 0
    for exchange in config.exchanges():
        for market_type in MarketType:
            for demo in (False, True):
                done += _refresh(exchange, market_type, demo=demo)
    return done


def _refresh(exchange: str, market_type: MarketType, *, demo: bool) -> bool:
    venue = market_store.venue(exchange, market_type, demo=demo)
    age = market_store.age(venue, datetime.now(UTC))
    if age is not None and age < _AFTER:
        return False
    try:
        fetched = registry.fetch_markets(exchange, market_type, demo=demo)
    except Exception as fault:  # noqa: BLE001 - ccxt raises its own classes, requests', and now and then a KeyError
        log.warning(
            "market refresh failed, keeping the stored metadata",
            extra={"venue": venue, "fault": type(fault).__name__},
        )
        return False
    changed = market_store.save(venue, fetched)
    log.info("markets refreshed", extra={"venue": venue, "instruments": len(fetched), "changed": changed})
    return True
