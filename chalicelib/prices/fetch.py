"""Live prices of simulated accounts, from the exchanges' public ticker lists.

One look is at most one call per exchange and market, however many accounts there are. Without a symbol that a
simulated account holds or waits for there is no call. An account that simulates an exchange goes by that
exchange. A paper account has no exchange: it goes by the first one in the deployment's list that answers and
lists the symbol.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import config
from chalicelib.errors import Misconfigured, Retryable, TradehookError
from chalicelib.exchanges import registry
from chalicelib.exchanges.protocol import RateLimited, Ticker
from chalicelib.exchanges.rate_limiter import Limiter, Patience
from chalicelib.paper import store as paper_store
from chalicelib.paper.store import Wanted
from chalicelib.prices import store
from chalicelib.prices.store import LivePrice
from chalicelib.telemetry import log
from chalicelib.trading import MarketType

PAPER = "paper"
_RETRY_AFTER_S = 55  # an exchange that is away is asked, and logged, once a minute
_UNLISTED_FOR_S = 3600
_CALL_S = 8.0  # one call, with what it waits for the limiter

Venue = tuple[str, MarketType]
_away: dict[Venue, float] = {}  # until when a venue is not asked, on the monotonic clock
# Until when a venue is not asked for names that it does not list: shares, above all.
_unlisted: dict[tuple[Venue, tuple[str, ...]], float] = {}


def is_on() -> bool:
    """Whether live prices are fetched: setting `LIVE_PRICES`.

    Raises Misconfigured for anything but `on` and `off`.
    """
    value = config.setting("LIVE_PRICES", "on").lower()
    if value not in {"on", "off"}:
        raise Misconfigured(f"TRADEHOOK_LIVE_PRICES should be on or off, not {value!r}")
    return value == "on"


def interval_s() -> float:
    """Seconds between two looks: setting `PRICE_INTERVAL_S`. Raises Misconfigured for less than 1."""
    value = config.setting("PRICE_INTERVAL_S", "60")
    if not (value.isascii() and value.isdigit() and int(value) >= 1):
        raise Misconfigured(f"TRADEHOOK_PRICE_INTERVAL_S should be a whole number of seconds, not {value!r}")
    return float(value)


def fetch_prices(deadline: float | None = None) -> int:
    """One look: fetches, stores and queues live prices. Returns how many.

    Args:
        deadline: On the monotonic clock. No call begins that may end later. None sets no limit.
    """
    wanted = paper_store.wanted_prices() if is_on() else set()
    if not wanted:
        return 0
    lists = _Lists(deadline)
    found = {
        (live.symbol, live.exchange, live.market_type): live
        for each in sorted(wanted, key=str)
        for live in _live_prices(each, lists)
    }
    before = store.live_prices(list(found))
    # Queued before it is stored: an extreme is found by what is stored, so a crash in between loses none.
    queued = [live for live, earlier in zip(found.values(), before, strict=True) if _is_queued(live, earlier)]
    store.save_live_prices(queued)
    changed = [
        live
        for live, earlier in zip(found.values(), before, strict=True)
        if earlier is None or earlier.price != live.price
    ]
    # One price a symbol for dashboards, whatever the number of exchanges that it is wanted of.
    for symbol, price in {live.symbol: live.price for live in reversed(changed)}.items():
        store.push_price(symbol, price, None)
    log.info("live prices fetched", extra={"prices": len(found), "calls": lists.calls})
    return len(found)


def _live_prices(wanted: Wanted, lists: "_Lists") -> Iterator[LivePrice]:
    """The price of the first instrument that is listed where the accounts go by; none if there is none."""
    exchanges = config.exchanges()
    served_by: Iterable[str] = exchanges if wanted.exchange == PAPER else {wanted.exchange} & {*exchanges}
    for source in served_by:
        tickers = lists.of((source, wanted.market_type), wanted.names)
        name = next((name for name in wanted.names if name in tickers), None)
        if name is not None:
            ticker = tickers[name]
            yield LivePrice(
                name,
                wanted.exchange,
                wanted.market_type,
                ticker.price,
                lists.fetched_at[source, wanted.market_type],
                source,
                ticker.high,
                ticker.low,
            )
            return


def _is_queued(live: LivePrice, earlier: LivePrice | None) -> bool:
    """Queues a price. False where the queue did not take it: the next look then does it all."""
    try:
        store.queue_live_price(live, *_extremes(live, earlier))
    except (Retryable, BotoCoreError, ClientError) as fault:
        log.warning(
            "live price not queued, trying again at the next look",
            extra={"symbol": live.symbol, "exchange": live.exchange, "fault": type(fault).__name__},
        )
        return False
    return True


def _extremes(
    live: LivePrice, earlier: LivePrice | None
) -> tuple[Decimal | None, Decimal | None, datetime | None]:
    """High and low since the last look, and when that was.

    A list gives the extremes of 24 hours. An extreme further out than at the last look was reached since
    then. Any other one says nothing.
    """
    if earlier is None or earlier.source != live.source:
        return None, None, None
    high = low = None
    if live.day_high is not None and earlier.day_high is not None and live.day_high > earlier.day_high:
        high = live.day_high
    if live.day_low is not None and earlier.day_low is not None and live.day_low < earlier.day_low:
        low = live.day_low
    return high, low, earlier.at


@dataclass
class _Lists:
    """The ticker lists of one look: each is fetched when it is first asked for.

    Attributes:
        calls: How many were fetched.
        fetched_at: When each was asked for. A trade that the list shows is not older.
    """

    deadline: float | None
    calls: int = 0
    fetched_at: dict[Venue, datetime] = field(default_factory=lambda: defaultdict(lambda: datetime.now(UTC)))
    _lists: dict[Venue, Mapping[str, Ticker]] = field(default_factory=dict)

    def of(self, venue: Venue, names: tuple[str, ...]) -> Mapping[str, Ticker]:
        """The list of an exchange and market.

        Empty while the exchange is away, and for an hour after a list had none of the names.
        """
        if venue not in self._lists:
            if time.monotonic() < _unlisted.get((venue, names), 0):
                return {}
            self._lists[venue] = self._fetch(venue)
        found = self._lists[venue]
        if found and not any(name in found for name in names):
            _unlisted[venue, names] = time.monotonic() + _UNLISTED_FOR_S
        return found

    def _fetch(self, venue: Venue) -> Mapping[str, Ticker]:
        now = time.monotonic()
        if now < _away.get(venue, 0) or (self.deadline is not None and now + _CALL_S > self.deadline):
            return {}
        self.calls += 1
        self.fetched_at[venue] = datetime.now(UTC)
        limiter = Limiter(*venue, PAPER)
        patience = Patience(_CALL_S / 2)
        try:
            tickers, pacing = registry.fetch_tickers(
                *venue,
                lambda weight: patience.wait(
                    limiter.take("address", weight, within=patience.left), "rate_limit"
                ),
            )
        except Exception as fault:  # an exchange that is away in whatever way stops nothing
            if isinstance(fault, Misconfigured):
                raise
            if isinstance(fault, RateLimited):
                limiter.back_off(fault)
            _away[venue] = now + _RETRY_AFTER_S
            code = getattr(fault, "code", None) if isinstance(fault, TradehookError) else None
            log.warning(
                "live prices not fetched, asking again in a minute",
                extra={
                    "exchange": venue[0],
                    "market_type": venue[1].value,
                    "fault": type(fault).__name__,
                    "code": code,
                },
            )
            return {}
        limiter.apply_server_limits(pacing)
        return tickers


def forget() -> None:
    """Forgets which exchanges are away, and what they do not list; for tests."""
    _away.clear()
    _unlisted.clear()
