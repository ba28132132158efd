"""Trades as they are stored and shown. Immutable, no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from chalicelib.events.models import Event, event_id
from chalicelib.exchanges.wire import rounded
from chalicelib.journal.round_trips import NO_STRATEGY, Closed, Lot
from chalicelib.orders.models import Order
from chalicelib.trading import MarketType
from chalicelib.users.models import shown_id

Side = Literal["long", "short"]


class Trade(BaseModel):
    """One round trip: a position of one strategy on one account, from its first fill to its last.

    Attributes:
        strategy: None for orders without a strategy.
        quantity: Base units that were opened and closed.
        entry_price, exit_price: Averages, `currency` per base.
        fees: Fees in `currency`, as far as their value is known.
        other_fees: Amounts of the other fees, by currency. None if even the amount is unknown. They are in
            neither `fees` nor `net_profit`.
        gross_profit: The result before fees.
        net_profit: `gross_profit` less `fees`.
        currency: Of prices, fees and profits.
        slippage_bps: Cost of all fills against the signals' prices, basis points of these. None if unknown.
        order_id: The order that closed the position.
        opened_at: None if the position is older than the journal.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    trade_id: str
    user_id: str
    account_id: str
    exchange: str
    market_type: MarketType
    symbol: str
    strategy: str | None
    side: Side
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    fees: Decimal
    other_fees: dict[str, Decimal | None]
    gross_profit: Decimal
    net_profit: Decimal
    currency: str
    slippage_bps: Decimal | None
    order_id: str
    opened_at: datetime | None
    closed_at: datetime

    @property
    def sort_key(self) -> str:
        """The range key of the trade: a user's trades in the order of their end."""
        return f"{timestamp(self.closed_at)}#{self.trade_id}"

    def shown(self) -> dict[str, Any]:
        """Returns the trade as the API shows it."""
        fees = [{"currency": name, "amount": amount} for name, amount in sorted(self.other_fees.items())]
        own = {"account_id": shown_id(self.account_id), "user_id": shown_id(self.user_id), "other_fees": fees}
        return self.model_dump() | own

    def closed_event(self) -> Event:
        """Returns the event `trade.closed`."""
        times = {"opened_at": timestamp(self.opened_at) if self.opened_at else None}
        payload = self.shown() | times | {"closed_at": timestamp(self.closed_at)}
        payload |= {"account_id": self.account_id, "market_type": self.market_type.value, "version": 1}
        return Event(
            event_id=event_id("trade.closed", self.trade_id),
            type="trade.closed",
            payload={name: value for name, value in payload.items() if name != "user_id"},
            entity=f"trade#{self.trade_id}",
            user_id=self.user_id,
            created_at=self.closed_at,
        )


def timestamp(at: datetime) -> str:
    """Returns a time in UTC with six decimal places, so that texts sort as times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def trade_of(closed: Closed, order: Order, currency: str) -> Trade:
    """Returns the trade of a closed lot. The same lot and order always give the same trade.

    Args:
        order: The order that closed it.
    """
    lot = closed.lot
    fees, gross = _plain(lot.fees), _plain(lot.gross_profit)
    return Trade(
        trade_id=event_id("trade", closed.order_id, lot.symbol, lot.strategy),
        user_id=order.user_id,
        account_id=order.account_id,
        exchange=order.exchange,
        market_type=order.market_type,
        symbol=lot.symbol,
        strategy=lot.strategy or None,
        side="long" if lot.side > 0 else "short",
        quantity=_plain(lot.entered),
        entry_price=rounded(lot.entry_value / lot.entered),
        exit_price=rounded(lot.exit_value / lot.exited),
        fees=fees,
        other_fees=lot.other_fees,
        gross_profit=gross,
        net_profit=_plain(gross - fees),
        currency=currency,
        slippage_bps=lot.slippage_bps,
        order_id=closed.order_id,
        opened_at=lot.opened_at,
        closed_at=closed.closed_at,
    )


def stored_lots(lots: Iterable[Lot]) -> list[dict[str, Any]]:
    """Returns lots as an attribute of the item of their position. What is zero or missing takes no room."""
    return [_stored(lot) for lot in lots]


def read_lots(stored: Sequence[Mapping[str, Any]]) -> list[Lot]:
    """Returns the lots of a position's item."""
    return [Lot.model_validate(item) for item in stored]


def _stored(lot: Lot) -> dict[str, Any]:
    opened = {"opened_at": timestamp(lot.opened_at)} if lot.opened_at else {}
    return lot.model_dump(exclude_defaults=True, exclude={"opened_at"}) | opened


def _plain(amount: Decimal) -> Decimal:
    """Returns an amount with at most twelve decimal places, without an exponent."""
    return Decimal(f"{rounded(amount):f}")


__all__ = ["NO_STRATEGY", "Trade", "read_lots", "stored_lots", "timestamp", "trade_of"]
