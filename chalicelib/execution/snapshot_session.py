"""An exchange session on stored data: the account's snapshot and the stored instruments.

No request is sent and nothing can be changed.
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
    """Snapshot sessions of an account, for callers that only read stored data.

    Args:
        snapshot: The account's last snapshot. None counts as an empty account.
        price: The last known price, quote per base. None uses the price that the snapshot implies.
    """

    def __init__(self, account: Account, snapshot: aws.Item | None, price: Decimal | None) -> None:
        self._account, self._snapshot, self._price = account, snapshot or {}, price

    def of(self, market_type: MarketType) -> "SnapshotSession":
        """Returns the session for a market."""
        return SnapshotSession(self._account, market_type, self._snapshot, self._price)


class SnapshotSession(session.ExchangeSession):
    """One account on one market, from stored data.

    Calls that need the exchange raise AssertionError.
    """

    def __init__(
        self, account: Account, market_type: MarketType, snapshot: aws.Item, price: Decimal | None
    ) -> None:
        self._markets = StoredMarkets(account.exchange, market_type, demo=account.kind == "demo")
        self._market_type = market_type
        self._price = price
        # The balances of a unified account have no market type.
        self._balances = [
            row for row in snapshot.get("balances", []) if row.get("market_type") in (None, market_type.value)
        ]
        self._positions = [
            row for row in snapshot.get("positions", []) if row["market_type"] == market_type.value
        ]

    def last_price(self, instrument: Instrument) -> Decimal:
        """Returns the last known price, quote per base.

        Raises:
            NotDoable: `no_price`.
        """
        price = self._price or self._implied_price(instrument)
        if price is None:
            raise NotDoable("no_price", symbol=instrument.name)
        return price

    def free_and_total(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Returns every currency's free and total balance."""
        return {row["currency"]: (row["free"], row["total"]) for row in self._balances}

    def open_positions(self) -> Sequence[Position]:
        """Returns the snapshot's positions. See `ExchangeSession`."""
        return [_position(row) for row in self._positions]

    def acquire(self, order: OrderRequest, *, ahead: int = 0) -> NoReturn:
        """Raises AssertionError: not available without an exchange."""
        raise AssertionError(order, ahead)

    def _implied_price(self, instrument: Instrument) -> Decimal | None:
        """Returns the price that a balance's value or a position's profit implies. None if there is none."""
        for row in self._balances:
            if (
                row["currency"] == instrument.base
                and row["value"]
                and row["total"]
                and instrument.quote in DOLLARS
            ):
                return rounded(row["value"] / row["total"])
        for row in self._positions:
            has_profit = (
                row["quantity"] and row["entry_price"] is not None and row["unrealized_profit"] is not None
            )
            if row["symbol"] == instrument.name and has_profit:
                return rounded(row["entry_price"] + row["unrealized_profit"] / row["quantity"])
        return None

    def _call_with_retries(self, call: Callable[..., Any]) -> NoReturn:
        raise AssertionError(call)

    def _call_once(self, call: Callable[..., Any]) -> NoReturn:
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
