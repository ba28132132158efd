"""Market prices at which paper orders fill: the last known price per symbol, per user and for all users."""

from collections.abc import Sequence
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
    fresh = live is not None and now - datetime.fromisoformat(str(live["at"])) <= _LIVE_FOR
    return Decimal(live["price"]) if live and fresh else None, newest_price(found[1:])


def newest_price(found: Sequence[aws.Item | None]) -> Decimal | None:
    """Returns the newest price among the items of `item_keys`. None if there is none."""
    prices = [item for item in found if item]
    return max(prices, key=lambda item: str(item["at"]))["price"] if prices else None


def price_write(symbol: str, scope: str, price: Decimal, at: datetime) -> aws.Write:
    """Returns the write that stores a price."""
    return aws.put_write("prices", {"symbol": symbol, "scope": scope, "price": price, "at": at.isoformat()})


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
