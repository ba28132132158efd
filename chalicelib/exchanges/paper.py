"""The paper exchange: orders fill against the prices it is told, and its books are items in our own tables.

Because the books are ours, an order's effect is written in the same transaction as the order itself: `Book` collects what the
orders of one signal change, `Book.effects` gives the writes. Every write carries the version that was read, so a book that
somebody else has moved meanwhile refuses the whole transaction.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from chalicelib import aws
from chalicelib.errors import NotDoable
from chalicelib.exchanges import paper_money
from chalicelib.exchanges.accounts import Account
from chalicelib.exchanges.protocol import Side
from chalicelib.signals.models import Symbol

DOLLARS = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD"})
"""Counted at par with each other: a paper account has one purse of them."""

_LEDGER = "ledger"
_QUANTITY_STEP = Decimal("1E-8")


@dataclass(slots=True)
class Holding:
    """So much of one asset, base units; `average_price` is what it cost, quote per base."""

    quantity: Decimal = Decimal(0)
    average_price: Decimal = Decimal(0)
    version: int = 0


@dataclass(slots=True)
class Book:
    """A paper account's cash and holdings while the orders of one signal run.

    Attributes:
        orders: How many orders the account has had.
        version: Of the ledger item that was read; 0 if there was none.
    """

    account: Account
    cash: dict[str, Decimal]
    holdings: dict[str, Holding]
    orders: int = 0
    version: int = 0
    touched: set[str] = field(default_factory=set)

    def take(self, symbol: Symbol, side: Side, quantity: Decimal, price: Decimal) -> paper_money.Fill:
        """Fills a market order at `price`, quote per base, and books it.

        Raises:
            NotDoable: `insufficient_funds` or `insufficient_holdings`, with what was needed and what was there; nothing changed.
        """
        purse = self._purse(symbol.quote)
        filled = quantity
        if self.account.fill_rate != 1:
            filled = (quantity * self.account.fill_rate).quantize(_QUANTITY_STEP, ROUND_DOWN)
        fill = paper_money.fill(
            buying=side is Side.BUY,
            price=price,
            quantity=filled,
            rates=self.account.rates,
            tick=paper_money.assumed_tick(price, share=symbol.quote is None),
            currency=symbol.quote or self.account.currency,
        )
        holding = self.holdings.setdefault(symbol.name, Holding())
        if side is Side.BUY:
            self._buy(purse, holding, fill)
        else:
            self._sell(purse, holding, fill, symbol.name)
        self.touched.add(symbol.name)
        self.orders += 1
        return fill

    def effects(self) -> list[aws.Write]:
        """What the orders changed, as conditional writes."""
        ledger = {
            "account_id": self.account.account_id,
            "item": _LEDGER,
            "cash": self.cash,
            "orders": self.orders,
            "version": self.version + 1,
        }
        writes = [_versioned(ledger, self.version)]
        for name in sorted(self.touched):
            holding = self.holdings[name]
            item = {
                "account_id": self.account.account_id,
                "item": f"asset#{name}",
                "quantity": holding.quantity,
                "average_price": holding.average_price,
                "version": holding.version + 1,
            }
            writes.append(_versioned(item, holding.version))
        return writes

    def _purse(self, quote: str | None) -> str:
        """The cash an instrument settles in."""
        return self.account.currency if quote is None or (quote in DOLLARS and self.account.currency in DOLLARS) else quote

    def _buy(self, purse: str, holding: Holding, fill: paper_money.Fill) -> None:
        available = self.cash.get(purse, Decimal(0))
        if fill.total > available:
            raise NotDoable("insufficient_funds", needed=f"{fill.total:f}", available=_plain(available))
        cost = holding.quantity * holding.average_price + fill.value
        self.cash[purse] = available - fill.total
        holding.quantity += fill.quantity
        holding.average_price = (cost / holding.quantity).quantize(_QUANTITY_STEP) if holding.quantity else Decimal(0)

    def _sell(self, purse: str, holding: Holding, fill: paper_money.Fill, name: str) -> None:
        if fill.quantity > holding.quantity:
            raise NotDoable("insufficient_holdings", needed=_plain(fill.quantity), available=_plain(holding.quantity), asset=name)
        self.cash[purse] = self.cash.get(purse, Decimal(0)) + fill.total
        holding.quantity -= fill.quantity


def read(account: Account) -> Book:
    """A paper account's book; a fresh account starts with its starting cash."""
    return _book(account, aws.query_all("portfolios", "account_id = :account", account=account.account_id, consistent=True))


def _book(account: Account, items: Iterable[aws.Item]) -> Book:
    book = Book(account, {account.currency: account.starting_cash}, {})
    for item in items:
        kind, _, name = item["item"].partition("#")
        if kind == _LEDGER:
            book.cash = dict(item["cash"])
            book.orders = int(item["orders"])
            book.version = int(item["version"])
        elif kind == "asset":
            book.holdings[name] = Holding(item["quantity"], item["average_price"], int(item["version"]))
    return book


def _versioned(item: aws.Item, version: int) -> aws.Write:
    if version == 0:
        return aws.put("portfolios", item, "attribute_not_exists(version)")
    return aws.put("portfolios", item, "version = :read", read=version)


def _plain(amount: Decimal) -> str:
    """An amount as people write it: 10000, 0.5."""
    return f"{amount.normalize():f}"
