"""Market prices that paper orders fill at: the last one seen of each symbol, by a user and by everybody."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from chalicelib import aws
from chalicelib.exchanges import paper_store
from chalicelib.orders import queue
from chalicelib.orders.models import PricesSeen

EVERYBODY = "everybody"
"""The scope of prices an admin set; a user's own come first for that user."""


def keys(symbol: str, user_id: str) -> list[tuple[str, aws.Key]]:
    """Where a user's last price of a symbol stands, best first."""
    return [("prices", {"symbol": symbol, "scope": scope}) for scope in (f"user#{user_id}", EVERYBODY)]


def newest(found: Sequence[aws.Item | None]) -> Decimal | None:
    """The price to go by among those read under `keys`: the newest."""
    prices = [item for item in found if item]
    return max(prices, key=lambda item: str(item["at"]))["price"] if prices else None


def seen(symbol: str, scope: str, price: Decimal, at: datetime) -> aws.Write:
    """The write that remembers a price."""
    return aws.put("prices", {"symbol": symbol, "scope": scope, "price": price, "at": at.isoformat()})


def tell(symbol: str, price: Decimal, user_id: str | None, seen_id: str, at: datetime, *, without: str | None = None) -> int:
    """Queues a price for the paper accounts that have an order waiting for it; returns how many.

    Args:
        user_id: Whose accounts; None for everybody's.
        seen_id: Makes a repeat of the same price recognisable.
        without: An account that sees the price anyway.
    """
    waiting = {
        reference["account_id"]: reference["exchange"]
        for reference in paper_store.waiting_for(symbol)
        if user_id in (None, reference["user_id"]) and reference["account_id"] != without
    }
    messages = [
        PricesSeen(seen_id=seen_id, account_id=account_id, exchange=exchange, symbol=symbol, price=price, at=at)
        for account_id, exchange in waiting.items()
    ]
    queue.send(messages)
    return len(messages)
