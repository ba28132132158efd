"""Round trips out of fills. Pure functions.

A position is kept in lots, one for each strategy. A fill that opens or adds goes into the lot of its
strategy. A fill that closes takes from the lot of its own strategy first, then from the lot without a
strategy, then from the others, like the shares of a paper account (`paper/balances.py`). A lot that is closed
becomes a trade.

A lot keeps sums and no average, so that a trade's result is what was paid and received, to the last digit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from pydantic import BaseModel, ConfigDict

NO_STRATEGY = ""
"""Strategy of what no strategy has bought."""

_ZERO = Decimal(0)
_MOST_LOTS = 5
"""Lots of a position. An order may close all of them, and its transaction has room for a few trades.

Further strategies share the lot without a strategy.
"""

_SHARE = Decimal("1e-12")
"""Shares of an amount are rounded to it. The last share takes the rest."""


@dataclass(frozen=True, slots=True)
class Fill:
    """What one order has filled.

    Attributes:
        quantity: Base units, negative if sold.
        price: Average price, currency per base.
        fee: Fees in the trade's currency.
        other_fees: Fees whose value is not known, by currency. None if even the amount is unknown.
        rounding: What the account received beyond price × quantity, because amounts of money are rounded.
        signal_price: The price at which the signal wanted to trade. None if it named none.
    """

    order_id: str
    symbol: str
    strategy: str
    quantity: Decimal
    price: Decimal
    at: datetime
    fee: Decimal = _ZERO
    other_fees: Mapping[str, Decimal | None] = field(default_factory=dict)
    rounding: Decimal = _ZERO
    signal_price: Decimal | None = None


class Lot(BaseModel):
    """The open part of a round trip.

    Attributes:
        side: 1 if long, -1 if short.
        entered, exited: Base units bought and sold again, or sold and bought back.
        entry_value, exit_value: Their price × quantity.
        slipped, wanted: Sums of the cost against the signals' prices and of quantity × signal's price.
        opened_at: None if the position is older than the journal.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    symbol: str
    strategy: str = NO_STRATEGY
    side: int
    entered: Decimal = _ZERO
    entry_value: Decimal = _ZERO
    exited: Decimal = _ZERO
    exit_value: Decimal = _ZERO
    fees: Decimal = _ZERO
    other_fees: dict[str, Decimal | None] = {}
    rounding: Decimal = _ZERO
    slipped: Decimal = _ZERO
    wanted: Decimal = _ZERO
    opened_at: datetime | None = None

    @property
    def left(self) -> Decimal:
        """Base units that are open."""
        return self.entered - self.exited

    @property
    def gross_profit(self) -> Decimal:
        """The result of a closed lot before fees."""
        return self.side * (self.exit_value - self.entry_value) + self.rounding

    @property
    def slippage_bps(self) -> Decimal | None:
        """Cost against the signals' prices, basis points. Negative if the fills were better.

        None if no signal had a price.
        """
        return round(self.slipped / self.wanted * 10_000, 2) if self.wanted else None


@dataclass(frozen=True, slots=True)
class Closed:
    """A lot that a fill has closed.

    Attributes:
        order_id: The order that closed it.
    """

    lot: Lot
    order_id: str
    closed_at: datetime


def apply_fill(
    lots: Sequence[Lot], fill: Fill, held: Decimal, average_price: Decimal | None, dust: Decimal = _ZERO
) -> tuple[list[Lot], list[Closed]]:
    """Returns a position's lots after a fill, and those that it has closed.

    Args:
        held: The position before the fill, base units, negative if short.
        average_price: The price of the part of it that is in no lot: it is older than the journal.
        dust: Less than that may stay in a lot that is closed. Zero if nothing may.
    """
    before = _aligned(lots, fill.symbol, held, average_price, dust)
    size, open_size = abs(fill.quantity), abs(held)
    closing = min(size, open_size) if fill.quantity * held < 0 else _ZERO
    shares = list(_shares(before, fill.strategy, closing))
    opening = size - closing
    weights = [quantity for _, quantity in shares] + ([opening] if opening else [])
    # What rounding did belongs to what was closed, because only closing has a result.
    rounding = _split(fill.rounding, weights[: len(shares)]) if shares else []
    fees = _split(fill.fee, weights)
    others = {name: _split_known(amount, weights) for name, amount in fill.other_fees.items()}
    after, closed = {lot.strategy: lot for lot in before}, []
    for index, (lot, quantity) in enumerate(shares):
        costs = {name: parts[index] for name, parts in others.items()}
        changed = _exit(_charge(lot, fill, quantity, fees[index], costs), fill, quantity, rounding[index])
        after[lot.strategy] = changed
    left = sum((lot.left for lot in after.values()), _ZERO)
    names = [lot.strategy for lot, _ in shares]
    if closing and _is_dust(left, dust):
        names += [name for name in after if name not in names]
    for name in names:
        if _is_dust(after[name].left, dust):
            lot = after.pop(name)
            if lot.exited:
                closed.append(Closed(lot, fill.order_id, fill.at))
    if opening:
        name = _lot_name(after, fill.strategy)
        side = 1 if fill.quantity > 0 else -1
        lot = after.get(name) or Lot(symbol=fill.symbol, strategy=name, side=side, opened_at=fill.at)
        costs = {name: parts[-1] for name, parts in others.items()}
        entered = _charge(lot, fill, opening, fees[-1], costs)
        after[name] = entered.model_copy(
            update={
                "entered": lot.entered + opening,
                "entry_value": lot.entry_value + opening * fill.price,
                "rounding": lot.rounding + (_ZERO if shares else fill.rounding),
            }
        )
    return list(after.values()), closed


def _is_dust(quantity: Decimal, dust: Decimal) -> bool:
    return quantity <= 0 or quantity < dust


def _lot_name(lots: Mapping[str, Lot], strategy: str) -> str:
    others = len(lots) - (NO_STRATEGY in lots)
    return strategy if strategy in lots or others < _MOST_LOTS - 1 else NO_STRATEGY


def _aligned(
    lots: Sequence[Lot], symbol: str, held: Decimal, average_price: Decimal | None, dust: Decimal
) -> list[Lot]:
    """Returns the lots of exactly the position that is held.

    They differ after a position that is older than the journal, and after money that came without an order.
    """
    side = 1 if held > 0 else -1
    found = {lot.strategy: lot for lot in lots if lot.side == side} if held else {}
    missing = abs(held) - sum((lot.left for lot in found.values()), _ZERO)
    if missing > dust and average_price is not None:
        lot = found.get(NO_STRATEGY) or Lot(symbol=symbol, side=side)
        value = lot.entry_value + missing * average_price
        found[NO_STRATEGY] = lot.model_copy(
            update={"entered": lot.entered + missing, "entry_value": value, "opened_at": None}
        )
    for name in list(found):
        lot = found[name]
        surplus = min(-missing, lot.left)
        if surplus > 0:
            missing += surplus
            value = lot.entry_value * (1 - surplus / lot.entered)
            found[name] = lot.model_copy(update={"entered": lot.entered - surplus, "entry_value": value})
    return [lot for lot in found.values() if lot.left > 0]


def _shares(lots: Sequence[Lot], strategy: str, closing: Decimal) -> Iterator[tuple[Lot, Decimal]]:
    """Yields the lots that a close takes from, with the base units taken from each."""
    known = {lot.strategy: lot for lot in lots}
    for name in dict.fromkeys((strategy, NO_STRATEGY, *sorted(known))):
        if name in known and closing > 0:
            taken = min(known[name].left, closing)
            closing -= taken
            yield known[name], taken


def _charge(
    lot: Lot, fill: Fill, quantity: Decimal, fee: Decimal, other_fees: Mapping[str, Decimal | None]
) -> Lot:
    """Returns the lot with its part of a fill's fees and slippage."""
    others = dict(lot.other_fees)
    for name, amount in other_fees.items():
        known = others.get(name, _ZERO)
        others[name] = None if amount is None or known is None else known + amount
    changed = {"fees": lot.fees + fee, "other_fees": others}
    if fill.signal_price:
        direction = 1 if fill.quantity > 0 else -1
        slipped = (fill.price - fill.signal_price) * quantity * direction
        changed |= {"slipped": lot.slipped + slipped, "wanted": lot.wanted + quantity * fill.signal_price}
    return lot.model_copy(update=changed)


def _exit(lot: Lot, fill: Fill, quantity: Decimal, rounding: Decimal) -> Lot:
    return lot.model_copy(
        update={
            "exited": lot.exited + quantity,
            "exit_value": lot.exit_value + quantity * fill.price,
            "rounding": lot.rounding + rounding,
        }
    )


def _split(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Returns the amount in parts by weight. They add up to the amount exactly."""
    total, parts, rest = sum(weights, _ZERO), [], amount
    for weight in weights[:-1]:
        part = (amount * weight / total).quantize(_SHARE, ROUND_HALF_EVEN)
        parts.append(part)
        rest -= part
    return [*parts, rest]


def _split_known(amount: Decimal | None, weights: Sequence[Decimal]) -> Sequence[Decimal | None]:
    """Returns the same. Parts of an unknown amount are unknown."""
    return [None] * len(weights) if amount is None else _split(amount, weights)
