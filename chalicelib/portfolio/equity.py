"""An account's equity over time.

Each change of a paper account's book and each snapshot of an exchange account adds a point.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from chalicelib.accounts.equity_points import point_write
from chalicelib.paper.book import Book, price_names
from chalicelib.paper.money import round_money

__all__ = ["book_equity", "point_write", "price_symbols"]


def book_equity(book: Book, known: Mapping[str, Decimal] | None = None) -> Decimal:
    """Returns a paper account's equity, in its currency.

    A holding without a known price counts at cost.

    Args:
        known: Prices by instrument, quote per base. None uses the book's prices.
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
    """Returns the instruments that price an asset in a currency, best first.

    All dollar currencies are treated alike.
    """
    return price_names(asset, currency)
