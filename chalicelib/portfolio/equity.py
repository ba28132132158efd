"""What an account is worth over time.

A point with each change of a paper account's book, and with each look at a real account.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from chalicelib.accounts.equity_points import point_write
from chalicelib.paper.book import Book, price_names
from chalicelib.paper.money import round_money

__all__ = ["book_equity", "point_write", "price_symbols"]


def book_equity(book: Book, known: Mapping[str, Decimal] | None = None) -> Decimal:
    """A paper account's cash and what it holds, in its currency.

    What no price is known of counts at its cost.

    Args:
        known: Prices by instrument; None for those that the book knows.
    """
    currency = book.account.currency
    book = book if known is None else replace(book, prices=dict(known))
    worth = book.cash.get(currency, Decimal(0))
    for asset, holding in book.holdings.items():
        worth += holding.quantity * (book.rate(asset) or Decimal(0))
    for name, position in book.positions.items():
        worth += position.profit(book.mark(name)) * (book.rate(position.quote) or Decimal(0))
    return round_money(worth, currency)


def price_symbols(asset: str, currency: str) -> tuple[str, ...]:
    """The instruments whose price is an asset's price in a currency, best first.

    Dollars of every kind count alike.
    """
    return price_names(asset, currency)
