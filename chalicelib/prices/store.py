"""Market prices at which paper orders fill: the last known price per symbol, per user and for all users."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.orders import queue
from chalicelib.orders.models import Instruction, PriceUpdate
from chalicelib.paper import store as paper_store
from chalicelib.realtime import queue as realtime_queue
from chalicelib.telemetry import log
from chalicelib.trading import MarketType

_SYMBOLS_AT_ONCE = 50  # each symbol has two keys, and a batch read holds 100
_READ_AT_ONCE = 100  # keys of a batch read
_LIVE_FOR = timedelta(minutes=5)  # a ticker is read each minute. After some failures its price is stale
EVERYBODY = "everybody"
"""Scope of prices set by an admin. A user's own prices come first for that user."""


def item_keys(symbol: str, user_id: str) -> list[tuple[str, aws.Key]]:
    """Returns the keys of a user's last known prices of a symbol, best first."""
    return [("prices", {"symbol": symbol, "scope": scope}) for scope in (f"user#{user_id}", EVERYBODY)]


def live_key(symbol: str, exchange: str, market_type: MarketType) -> tuple[str, aws.Key]:
    """Returns the key of a symbol's live price from an exchange's public ticker."""
    return ("prices", {"symbol": symbol, "scope": f"live#{exchange}#{market_type.value}"})


def keys_for(instruction: Instruction) -> list[tuple[str, aws.Key]]:
    """Returns the price keys of the instruction's symbol, for `live_and_last`. Empty without a symbol."""
    if instruction.symbol is None:
        return []
    name, market_type = instruction.symbol.name, instruction.market_type or MarketType.SPOT
    return [live_key(name, instruction.exchange, market_type), *item_keys(name, instruction.user_id)]


def live_and_last(found: Sequence[aws.Item | None], now: datetime) -> tuple[Decimal | None, Decimal | None]:
    """Returns the live price and the last known price from the items of `keys_for`, each None if missing.

    A stale live price does not count.
    """
    live = found[0] if found else None
    fresh = live is not None and is_fresh(datetime.fromisoformat(str(live["at"])), now)
    return Decimal(live["price"]) if live and fresh else None, newest_price(found[1:])


def newest_price(found: Sequence[aws.Item | None]) -> Decimal | None:
    """Returns the newest price among the items of `item_keys`. None if there is none."""
    prices = [item for item in found if item]
    return max(prices, key=lambda item: str(item["at"]))["price"] if prices else None


def price_write(symbol: str, scope: str, price: Decimal, at: datetime) -> aws.Write:
    """Returns the write that stores a price."""
    return aws.put_write("prices", {"symbol": symbol, "scope": scope, "price": price, "at": at.isoformat()})


@dataclass(frozen=True)
class LivePrice:
    """A price from an exchange's public ticker list.

    Attributes:
        exchange, market_type: Of the simulated accounts that go by it.
        source: The exchange whose ticker it is. Another one than `exchange` for paper accounts only.
        day_high, day_low: The extremes of the last 24 hours; None where the list has none.
    """

    symbol: str
    exchange: str
    market_type: MarketType
    price: Decimal
    at: datetime
    source: str
    day_high: Decimal | None = None
    day_low: Decimal | None = None


LiveKey = tuple[str, str, MarketType]
"""Symbol, exchange and market."""


def fresh_live_prices(keys: Sequence[LiveKey], now: datetime) -> dict[LiveKey, LivePrice]:
    """The live prices that still are the market's, for those of the keys that have one."""
    found = live_prices(list(dict.fromkeys(keys)))
    return {
        (each.symbol, each.exchange, each.market_type): each
        for each in found
        if each and is_fresh(each.at, now)
    }


def live_prices(keys: Sequence[LiveKey]) -> list[LivePrice | None]:
    """The live prices stored for symbol, exchange and market, however old; None where there is none."""
    found: list[LivePrice | None] = []
    for start in range(0, len(keys), _READ_AT_ONCE):
        part = keys[start : start + _READ_AT_ONCE]
        items = aws.get_many([live_key(*key) for key in part])
        found += [_live_price(key, item) for key, item in zip(part, items, strict=True)]
    return found


def _live_price(key: LiveKey, item: aws.Item | None) -> LivePrice | None:
    if item is None:
        return None
    at, source = datetime.fromisoformat(str(item["at"])), str(item.get("source", key[1]))
    return LivePrice(*key, item["price"], at, source, item.get("day_high"), item.get("day_low"))


def is_fresh(at: datetime, now: datetime) -> bool:
    """Whether a live price of that time still is the market's."""
    return now - at <= _LIVE_FOR


def save_live_prices(found: Sequence[LivePrice]) -> None:
    """Stores live prices.

    Raises:
        Retryable: DynamoDB did not take all of them.
    """
    aws.put_many(
        "prices",
        [
            {
                **live_key(each.symbol, each.exchange, each.market_type)[1],
                "price": each.price,
                "at": each.at.isoformat(),
                "source": each.source,
                "day_high": each.day_high,
                "day_low": each.day_low,
            }
            for each in found
        ],
    )


def queue_live_price(
    live: LivePrice, high: Decimal | None, low: Decimal | None, since: datetime | None
) -> int:
    """Queues a live price for the simulated accounts of its exchange that wait for one; returns how many.

    Args:
        high, low, since: See PriceUpdate.
    """
    scope = live_key(live.symbol, live.exchange, live.market_type)[1]["scope"]
    waiting = {
        reference["account_id"]
        for reference in paper_store.waiting_for(live.symbol)
        if reference["exchange"] == live.exchange
        and reference.get("market_type", MarketType.FUTURES.value) == live.market_type.value
    }
    # A hash, because SQS takes ASCII only and symbols may have other letters.
    update_id = hashlib.sha256(f"{scope}#{live.symbol}#{live.at.isoformat()}".encode()).hexdigest()[:32]
    queue.send_messages(
        [
            PriceUpdate(
                update_id=update_id,
                account_id=account_id,
                exchange=live.exchange,
                symbol=live.symbol,
                price=live.price,
                at=live.at,
                market_type=live.market_type,
                high=high,
                low=low,
                since=since,
            )
            for account_id in sorted(waiting)
        ]
    )
    return len(waiting)


def queue_price_updates(
    symbol: str,
    price: Decimal,
    user_id: str | None,
    update_id: str,
    at: datetime,
    *,
    without: str | None = None,
) -> int:
    """Queues a price for the paper accounts with orders or positions in the symbol. Returns their number.

    Args:
        user_id: Owner of the accounts. None means all users.
        update_id: Identifies duplicates of the same price.
        without: An account that applies the price itself. None for none.
    """
    waiting = {
        reference["account_id"]: reference["exchange"]
        for reference in paper_store.waiting_for(symbol)
        if user_id in (None, reference["user_id"]) and reference["account_id"] != without
    }
    messages = [
        PriceUpdate(
            update_id=update_id, account_id=account_id, exchange=exchange, symbol=symbol, price=price, at=at
        )
        for account_id, exchange in waiting.items()
    ]
    queue.send_messages(messages)
    return len(messages)


def push_price(symbol: str, price: Decimal, user_id: str | None) -> None:
    """Pushes a price to subscribers. Best effort.

    Args:
        user_id: The user who may see the price. None means all users.
    """
    try:
        realtime_queue.push_price(symbol, price, user_id)
    except (BotoCoreError, ClientError) as fault:
        log.warning("price push failed", extra={"symbol": symbol, "fault": type(fault).__name__})


def latest(wanted: Sequence[str], user_id: str) -> dict[str, aws.Item]:
    """Returns the newest price of each symbol for a user, as stored.

    Symbols without a known price are missing.
    """
    found: dict[str, aws.Item] = {}
    symbols = list(dict.fromkeys(wanted))
    for start in range(0, len(symbols), _SYMBOLS_AT_ONCE):
        part = symbols[start : start + _SYMBOLS_AT_ONCE]
        items = aws.get_many([key for symbol in part for key in item_keys(symbol, user_id)])
        for item in filter(None, items):
            if item["symbol"] not in found or str(item["at"]) > str(found[item["symbol"]]["at"]):
                found[item["symbol"]] = item
    return found
