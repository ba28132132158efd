"""Cost basis: an account's positions from its own fills at an exchange, and each order's realised PnL.

An order is booked once, when it has ended and its fee is known. Realised PnL is the closed part's profit
against the average entry price, less the order's own fee. An order that only opens realises its fee.

If the records do not explain the exchange's position, the average entry price is unknown. Causes are a
position older than the records, a manual trade or a deposit. Realised PnL is then None until the position has
been seen flat.

The table `portfolios` has one item per position, such as "cost_basis#futures#BTCUSDT".
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from chalicelib import aws
from chalicelib.exchanges.dialects.dialect import is_about_long
from chalicelib.exchanges.protocol import Instrument, Side
from chalicelib.exchanges.wire import rounded
from chalicelib.journal import models
from chalicelib.journal import store as journal_store
from chalicelib.journal.models import Trade
from chalicelib.journal.round_trips import NO_STRATEGY, Fill, Lot, apply_fill
from chalicelib.orders.models import Order
from chalicelib.paper.book import DOLLARS
from chalicelib.trading import MarketType, PositionSide

OWNED = "owned"
"""Key in an order's `basis`: the position before the order, base units. Negative if short."""

_ZERO = Decimal(0)
_CLOCKS = timedelta(seconds=5)  # largest difference between the exchange's clock and ours


class CostBasis(BaseModel):
    """A position from the account's own fills.

    Attributes:
        quantity: Base units, negative if short.
        average_price: Quote per base, without fees. None for a flat position and if unknown.
        known: Whether the profit of a close can be computed.
        since: When the position was last taken from the exchange. It includes earlier trades.
        signal_id: Signal of the order that was booked last.
        lots: The open round trips. Empty while the average price is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    quantity: Decimal
    average_price: Decimal | None = None
    known: bool = True
    since: datetime
    signal_id: str | None = None
    version: int = 0
    lots: list[dict[str, Any]] = []


def key(
    account_id: str, market_type: MarketType, symbol: str, position_side: PositionSide | None
) -> tuple[str, aws.Key]:
    """Returns the key of a position's cost basis. In hedge mode each side has its own."""
    parts = ["entry", market_type.value, symbol, *([position_side.value] if position_side else [])]
    return ("portfolios", {"account_id": account_id, "item": "#".join(parts)})


class CostBasisBook:
    """The positions of one message's orders. A message has its account to itself.

    Args:
        known: Items already read, by their name in `portfolios`. None means that there is no item.
    """

    def __init__(self, known: dict[str, aws.Item | None] | None = None) -> None:
        self._known = {
            name: CostBasis.model_validate(item) if item else None for name, item in (known or {}).items()
        }

    def booked(
        self,
        order: Order,
        instrument: Instrument,
        *,
        traded_at: datetime | None = None,
        fees_final: bool = False,
    ) -> tuple[Order, list[aws.Write]]:
        """Returns the order with its realised PnL, and the write that books it.

        Returns the order unchanged and no write while its result or fee is not final.

        Args:
            traded_at: Time of the last trade, by the exchange's clock. None for an order of this message's
                signal, which traded after the position was read.
            fees_final: Whether a fee that is unknown now stays unknown.
        """
        fee_known = order.fee is not None or order.fee_currency is not None or fees_final
        if order.booked or not order.status.final or not order.filled or not fee_known:
            return order, []
        table, place = key(order.account_id, order.market_type, order.symbol, _position_side(order))
        name = place["item"]
        if name not in self._known:
            [item] = aws.get_many([(table, place)])
            self._known[name] = CostBasis.model_validate(item) if item else None
        before = self._known[name]
        entry = _basis_before(before, order, instrument.quantity_step, traded_at)
        after, profit = _basis_after(entry, order, instrument)
        lots, trades = _round_trips(entry, after, order, instrument)
        changes = {
            "signal_id": order.signal_id,
            "version": entry.version + 1,
            "lots": models.stored_lots(lots),
        }
        after = after.model_copy(update=changes)
        self._known[name] = after
        item = {**place, **after.model_dump(), "since": after.since.isoformat()}
        condition = (
            ("version = :before", {"before": before.version})
            if before
            else ("attribute_not_exists(version)", {})
        )
        write = aws.put_write(table, item, condition[0], **condition[1])
        result = {
            "realized_profit": profit,
            "booked": True,
            "filled_at": order.updated_at,
            "held_before": entry.quantity if entry.known else None,
            "quantity_step": instrument.quantity_step,
        }
        return order.model_copy(update=result), [write, *journal_store.trade_writes(trades)]


def _basis_before(
    before: CostBasis | None, order: Order, step: Decimal, traded_at: datetime | None
) -> CostBasis:
    """Returns the cost basis as it was when the order traded."""
    owned = order.basis.get(OWNED)
    flat = owned is not None and abs(owned) < step  # less than one step can be neither sold nor closed
    if before is None:
        return CostBasis(
            quantity=_ZERO if owned is None or flat else owned, known=flat, since=order.created_at
        )
    if traded_at is not None:
        # If the order may have traded before the position was taken from the exchange, the position may
        # already include it.
        doubtful = order.created_at < before.since and traded_at < before.since + _CLOCKS
        return before.model_copy(update={"known": before.known and not doubtful})
    if (
        owned is None
        or before.signal_id == order.signal_id
        or (before.known and abs(before.quantity - owned) < step)
    ):
        return before
    return CostBasis(
        quantity=_ZERO if flat else owned, known=flat, since=order.created_at, version=before.version
    )


def _basis_after(entry: CostBasis, order: Order, instrument: Instrument) -> tuple[CostBasis, Decimal | None]:
    """Returns the cost basis with the order's fills, and the realised PnL. None if unknown."""
    price, fee, held = order.average_price, _fee_in_quote(order, instrument), entry.quantity
    spot = instrument.market_type is MarketType.SPOT
    signed = order.received if order.side is Side.BUY else -order.filled
    closing = min(abs(signed), abs(held)) if signed * held < 0 else _ZERO
    left = held + signed
    if abs(left) < instrument.quantity_step:
        left = _ZERO
    # An order that can only close has closed a position, which the records must contain.
    beyond = (order.reduce_only or (spot and signed < 0)) and abs(
        signed
    ) - closing >= instrument.quantity_step
    if not entry.known or price is None or beyond:
        only_opens = spot and signed > 0
        unknown = entry.model_copy(
            update={"quantity": _ZERO if beyond else left, "average_price": None, "known": False}
        )
        return unknown, -fee if only_opens and fee is not None else None
    won, average = _ZERO, price
    if closing:
        assert entry.average_price is not None
        won = closing * (price - entry.average_price) * (1 if held > 0 else -1)
        average = price if left * held < 0 else entry.average_price
    elif held:
        assert entry.average_price is not None
        average = (abs(held) * entry.average_price + abs(signed) * price) / (abs(held) + abs(signed))
    after = entry.model_copy(update={"quantity": left, "average_price": rounded(average) if left else None})
    return after, None if fee is None else rounded(won - fee)


def _round_trips(
    entry: CostBasis, after: CostBasis, order: Order, instrument: Instrument
) -> tuple[list[Lot], list[Trade]]:
    """Returns the lots after an order, and the trades that it closed. None while the position is unknown."""
    signed = order.received if order.side is Side.BUY else -order.filled
    if not after.known or order.average_price is None or not signed:
        return (models.read_lots(entry.lots), []) if after.known else ([], [])
    fee = _fee_in_quote(order, instrument)
    fill = Fill(
        order_id=order.order_id,
        symbol=order.symbol,
        strategy=order.group_name or NO_STRATEGY,
        quantity=signed,
        price=order.average_price,
        at=order.updated_at,
        fee=fee or _ZERO,
        other_fees={order.fee_currency or "unknown": order.fee} if fee is None else {},
        signal_price=order.wanted_price,
    )
    lots, closed = apply_fill(
        models.read_lots(entry.lots), fill, entry.quantity, entry.average_price, instrument.quantity_step
    )
    return lots, [models.trade_of(each, order, instrument.quote) for each in closed]


def _fee_in_quote(order: Order, instrument: Instrument) -> Decimal | None:
    """Returns the order's fee, quote units.

    None if the fee is unknown or was taken in a third currency, whose price is unknown here.
    """
    if order.fee is None:
        return None
    if not order.fee or order.fee_currency == instrument.quote:
        return order.fee
    return (
        order.fee * order.average_price
        if order.fee_currency == instrument.base and order.average_price
        else None
    )


def _position_side(order: Order) -> PositionSide | None:
    if not order.hedged:
        return None
    return (
        PositionSide.LONG if is_about_long(order.side, reduce_only=order.reduce_only) else PositionSide.SHORT
    )


def profits(orders: Sequence[Order]) -> dict[str | None, Decimal]:
    """Returns the known realised PnL of orders by strategy, in dollars.

    The key None holds orders without a strategy.
    """
    found: dict[str | None, Decimal] = {}
    for order in orders:
        if order.realized_profit is not None and order.symbol.endswith(tuple(DOLLARS)):
            found[order.group_name] = found.get(order.group_name, _ZERO) + order.realized_profit
    return found
