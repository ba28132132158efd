"""What an account is worth over time: a point with each change of a paper account's book, and with each look at a real account."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib import aws
from chalicelib.exchanges.paper import Book
from chalicelib.exchanges.paper_money import round_money

_KEPT = timedelta(days=400)
_AT_PAR = ("USDT", "USDC", "USD")


def point(account_id: str, worth: Decimal, at: datetime) -> aws.Write:
    """The write that keeps what an account was worth at a time."""
    forget_at = int((at + _KEPT).timestamp())
    return aws.put("snapshots", {"account_id": account_id, "at": at.isoformat(), "equity": worth, "forget_at": forget_at})


def of_book(book: Book, known: Mapping[str, Decimal]) -> Decimal:
    """A paper account's cash and what it holds, in its currency; what no price is known of counts at its cost.

    Args:
        known: Prices by instrument.
    """
    currency = book.account.currency
    worth = book.cash.get(currency, Decimal(0))
    for asset, holding in book.holdings.items():
        price = next((known[name] for name in names(asset, currency) if name in known), holding.average_price)
        worth += holding.quantity * price
    for name, position in book.positions.items():
        worth += (known.get(name, position.entry_price) - position.entry_price) * position.quantity
    return round_money(worth, currency)


def names(asset: str, currency: str) -> tuple[str, ...]:
    """The instruments whose price is an asset's price in a currency, best first. Dollars of every kind count alike."""
    quotes = (currency, *_AT_PAR) if currency in _AT_PAR else (currency,)
    return (asset, *(f"{asset}{quote}" for quote in dict.fromkeys(quotes)))
