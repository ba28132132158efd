"""Market metadata in the table `markets`: one item per instrument of an exchange, market and environment.

The order path reads single instruments and caches them for ten minutes. The scheduled refresh writes those
that have changed. The item `{venue}#` holds the time of the last refresh and a digest of each instrument.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.exchanges.markets import StoredMarket
from chalicelib.trading import MarketType

_KEPT_S = 600
_DIGEST_LENGTH = 8
_kept: dict[str, tuple[float, StoredMarket]] = {}


class StoredMarkets:
    """One venue's markets by instrument name, each read on first use."""

    def __init__(self, exchange: str, market_type: MarketType, *, demo: bool) -> None:
        self._venue = venue(exchange, market_type, demo=demo)

    def get(self, name: str, /) -> StoredMarket | None:
        """Returns the stored market. None if the exchange lists no such instrument.

        Raises:
            Retryable: The venue's metadata has never been fetched. The refresh fetches it within minutes.
        """
        key = f"{self._venue}#{name}"
        until, kept = _kept.get(key, (0.0, {}))
        if time.monotonic() < until:
            return kept
        found, refreshed = aws.get_many(
            [("markets", {"listing": key}), ("markets", {"listing": f"{self._venue}#"})]
        )
        if refreshed is None:
            raise Retryable(f"no metadata of {self._venue} yet")
        # A delisted instrument keeps its item, so that earlier purchases can be found and sold.
        if found is None:
            return None
        market: StoredMarket = json.loads(found["market"])
        _kept[key] = (time.monotonic() + _KEPT_S, market)
        return market


def venue(exchange: str, market_type: MarketType, *, demo: bool) -> str:
    """Returns the key prefix of an exchange's market in one environment."""
    return f"{exchange}#{market_type.value}#{'demo' if demo else 'live'}"


def age(venue_name: str, now: datetime) -> timedelta | None:
    """Returns the age of a venue's metadata. None if there is none."""
    found = aws.get("markets", {"listing": f"{venue_name}#"})
    return None if found is None else now - datetime.fromisoformat(found["refreshed_at"])


def save(venue_name: str, fetched: Mapping[str, StoredMarket]) -> int:
    """Writes new and changed instruments. Returns their number.

    A delisted instrument becomes inactive.

    The next save completes an interrupted one, because the digests are written last.
    """
    key = {"listing": f"{venue_name}#"}
    before: dict[str, str] = (aws.get("markets", key) or {}).get("digests", {})
    texts = {name: json.dumps(market, sort_keys=True, default=str) for name, market in fetched.items()}
    digests = {
        name: hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH] for name, text in texts.items()
    }
    changed = [name for name, digest in digests.items() if before.get(name) != digest]
    for name in changed:
        _write(venue_name, name, texts[name])
    for name in before.keys() - digests.keys():
        gone = aws.get("markets", {"listing": f"{venue_name}#{name}"})
        if gone:
            _write(venue_name, name, json.dumps({**json.loads(gone["market"]), "active": False}))
    aws.write(
        aws.put_write("markets", {**key, "refreshed_at": datetime.now(UTC).isoformat(), "digests": digests})
    )
    return len(changed)


def forget() -> None:
    """Clears the cached metadata of this process, for tests."""
    _kept.clear()


def _write(venue_name: str, name: str, text: str) -> None:
    item: dict[str, Any] = {"listing": f"{venue_name}#{name}", "market": text}
    aws.write(aws.put_write("markets", item))
