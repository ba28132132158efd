"""An account at an exchange as it was last seen: its snapshot and the stored instruments.

Nothing is asked, and nothing can be changed.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NoReturn

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.errors import NotDoable
from chalicelib.exchanges import session
from chalicelib.exchanges.market_store import StoredMarkets
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Position
from chalicelib.exchanges.wire import rounded
from chalicelib.paper.book import DOLLARS
from chalicelib.trading import MarketType, PositionSide


class SnapshotSessions:
    """An account's lines, for whoever only looks at what is stored.

    Args:
        snapshot: The account's last snapshot; without one it seems to hold nothing.
        price: The last known price of whatever is asked for, quote per base; without one it is what the
            snapshot implies.
    """

    def __init__(self, account: Account, snapshot: aws.Item | None, price: Decimal | None) -> None:
        self._account, self._snapshot, self._price = account, snapshot or {}, price

    def of(self, market_type: MarketType) -> "SnapshotSession":
        """The line to a market."""
        return SnapshotSession(self._account, market_type, self._snapshot, self._price)


class SnapshotSession(session.ExchangeSession):
    """One account on one market, as far as it is stored.

    What would need the exchange raises AssertionError.
    """

    def __init__(
        self, account: Account, market_type: MarketType, snapshot: aws.Item, price: Decimal | None
    ) -> None:
        self._markets = StoredMarkets(account.exchange, market_type, demo=account.kind == "demo")
        self._market_type = market_type
        self._price = price
        # An account that is one for both markets has balances of no market.
        self._balances = [
            row for row in snapshot.get("balances", []) if row.get("market_type") in (None, market_type.value)
        ]
        self._positions = [
            row for row in snapshot.get("positions", []) if row["market_type"] == market_type.value
        ]

    def last_price(self, instrument: Instrument) -> Decimal:
        """The last known price, quote per base. Raises NotDoable `no_price`."""
        price = self._price or self._implied_price(instrument)
        if price is None:
            raise NotDoable("no_price", symbol=instrument.name)
        return price

    def free_and_total(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Every currency's free and total balance."""
        return {row["currency"]: (row["free"], row["total"]) for row in self._balances}

    def open_positions(self) -> Sequence[Position]:
        """See Line."""
        return [_position(row) for row in self._positions]

    def acquire(self, order: OrderRequest, *, ahead: int = 0) -> NoReturn:
        """Not here."""
        raise AssertionError(order, ahead)

    def _implied_price(self, instrument: Instrument) -> Decimal | None:
        """What a balance was valued at, in dollars, or what a position's profit says."""
        for row in self._balances:
            if (
                row["currency"] == instrument.base
                and row["value"]
                and row["total"]
                and instrument.quote in DOLLARS
            ):
                return rounded(row["value"] / row["total"])
        for row in self._positions:
            existing_orders = (
                row["quantity"] and row["entry_price"] is not None and row["unrealized_profit"] is not None
            )
            if row["symbol"] == instrument.name and existing_orders:
                return rounded(row["entry_price"] + row["unrealized_profit"] / row["quantity"])
        return None

    def _repeated(self, call: Callable[..., Any]) -> NoReturn:
        raise AssertionError(call)

    def _once(self, call: Callable[..., Any]) -> NoReturn:
        raise AssertionError(call)


def _position(row: aws.Item) -> Position:
    side = row.get("position_side")
    return Position(
        row["symbol"],
        MarketType.FUTURES,
        row["quantity"],
        position_side=PositionSide(side) if side else None,
        margin_mode=row.get("margin_mode"),
    )
