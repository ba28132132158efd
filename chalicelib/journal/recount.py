"""Recounts an account's trades from its stored orders, and compares. Pure functions.

The orders keep what their fills were booked with: `filled_at`, `held_before`, `quantity_step`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from chalicelib.exchanges.protocol import Side
from chalicelib.journal.models import Trade, trade_of
from chalicelib.journal.round_trips import Fill, Lot, apply_fill
from chalicelib.orders.models import Order
from chalicelib.paper.balances import DOLLARS
from chalicelib.trading import MarketType

CENT = Decimal("0.01")
"""Amounts that differ by less are equal."""

_ZERO = Decimal(0)
_COMPARED = ("side", "quantity", "entry_price", "exit_price", "gross_profit", "fees", "net_profit")
Place = tuple[str, MarketType, str, bool | None]
"""Account, market, instrument or asset, and in hedge mode whether it is the long side."""


@dataclass(frozen=True)
class Difference:
    """A trade whose stored figures are not those of its orders.

    Attributes:
        stored, recounted: None if there is no such trade.
    """

    trade_id: str
    field: str
    stored: str | None
    recounted: str | None


@dataclass(frozen=True)
class Comparison:
    """The stored trades beside those of the orders.

    Attributes:
        compared: Number of stored trades that were recounted.
        not_compared: Number of trades that cannot be recounted. Their position is older than the journal, or
            their asset was traded against other assets, whose price an order does not keep.
    """

    compared: int
    not_compared: int
    differences: list[Difference]


def compare(orders: Iterable[Order], stored: Iterable[Trade]) -> Comparison:
    """Recounts the trades of orders and compares them with the stored ones."""
    filled = sorted((order for order in orders if order.filled_at), key=lambda order: str(order.filled_at))
    places: dict[Place, list[Order]] = defaultdict(list)
    for order in filled:
        places[_place(order)].append(order)
    crossed = _crossed(filled)
    found: dict[str, Trade] = {}
    doubtful = {order.order_id for place in crossed for order in places.get(place, [])}
    for place, own in places.items():
        if place not in crossed:
            trades, older = _trades(own)
            found |= {trade.trade_id: trade for trade in trades}
            doubtful |= older
    kept = {trade.trade_id: trade for trade in stored}
    left_out = {name for name, trade in (kept | found).items() if trade.order_id in doubtful}
    quotes = {order.symbol.removeprefix(order.base) for order in filled}  # lots of quote currencies
    left_out |= {name for name, trade in kept.items() if trade.symbol in quotes}
    names = sorted((kept.keys() | found.keys()) - left_out)
    return Comparison(
        compared=len(kept.keys() - left_out),
        not_compared=len(kept.keys() & left_out),
        differences=[each for name in names for each in _differences(name, kept.get(name), found.get(name))],
    )


def _place(order: Order) -> Place:
    side = None
    if order.hedged:
        side = (order.side is Side.BUY) is not order.reduce_only
    simulated_spot = order.market_type is MarketType.SPOT and not order.booked
    return order.account_id, order.market_type, order.base if simulated_spot else order.symbol, side


def _crossed(orders: Sequence[Order]) -> set[Place]:
    """Returns the assets of simulated accounts that were traded against another asset, with that asset."""
    quotes: dict[Place, set[str]] = defaultdict(set)
    for order in orders:
        if order.market_type is MarketType.SPOT and not order.booked:
            quote = order.symbol.removeprefix(order.base)
            quotes[_place(order)].add("dollars" if quote in DOLLARS else quote)
    found = {place for place, names in quotes.items() if len(names) > 1}
    for place, names in quotes.items():
        pairs = {(place[0], place[1], name, None) for name in names}
        if pairs & quotes.keys():
            found |= {place, *pairs}
    return found


def _trades(orders: Sequence[Order]) -> tuple[list[Trade], set[str]]:
    """Returns the trades of one position, and the orders that filled while its origin was not known."""
    lots: list[Lot] = []
    average, found, doubtful = _ZERO, [], set()
    is_known = True
    for order in orders:
        signed = order.received if order.side is Side.BUY else -order.filled
        held, step = order.held_before, order.quantity_step or _ZERO
        if held is None or order.average_price is None or not signed:
            lots, is_known = [], False
            doubtful.add(order.order_id)
            continue
        in_lots = sum((lot.left for lot in lots), _ZERO)
        is_known = (is_known or not held) and abs(held) - in_lots <= step
        average = average if held else _ZERO
        if not is_known:
            doubtful.add(order.order_id)
        lots, closed = apply_fill(lots, _fill(order, signed, held, average), held, None, step)
        average = _average(average, held, signed, order.average_price)
        found += [trade_of(each, order, _currency(order)) for each in closed]
    return found, doubtful


def _fill(order: Order, signed: Decimal, held: Decimal, average: Decimal) -> Fill:
    price = order.average_price or _ZERO
    currency = _currency(order)
    fee, others = order.fee, dict[str, Decimal | None]()
    if fee and order.fee_currency == order.base:
        fee = fee * price
    elif order.booked and (fee is None or (fee and order.fee_currency != currency)):
        fee, others = None, {order.fee_currency or "unknown": fee}
    fill = Fill(
        order_id=order.order_id,
        symbol=order.symbol,
        strategy=order.group_name or "",
        quantity=signed,
        price=price,
        at=order.filled_at or order.updated_at,
        fee=fee or _ZERO,
        other_fees=others,
        signal_price=order.wanted_price,
    )
    return fill if order.booked else replace(fill, rounding=_rounding(order, signed, held, average))


def _rounding(order: Order, signed: Decimal, held: Decimal, average: Decimal) -> Decimal:
    """Returns what a simulated account received beyond price × quantity."""
    price = order.average_price or _ZERO
    if order.market_type is MarketType.SPOT:
        difference = price * abs(signed) - (order.value or _ZERO)
        return difference if signed > 0 else -difference
    closing = min(abs(signed), abs(held)) if signed * held < 0 else _ZERO
    exact = closing * (price - average) * (1 if held > 0 else -1)
    paid = (order.realized_profit or _ZERO) + (order.fee or _ZERO)
    return paid - exact if closing else _ZERO


def _average(average: Decimal, held: Decimal, signed: Decimal, price: Decimal) -> Decimal:
    after = held + signed
    if held * after < 0 or not held:
        return price
    if held * signed > 0:
        return (abs(held) * average + abs(signed) * price) / abs(after)
    return average


def _currency(order: Order) -> str:
    return order.symbol.removeprefix(order.base)


def _differences(trade_id: str, stored: Trade | None, recounted: Trade | None) -> list[Difference]:
    if stored is None or recounted is None:
        known = stored or recounted
        assert known is not None
        shown = f"{known.net_profit:f} {known.currency}"
        return [Difference(trade_id, "trade", shown if stored else None, shown if recounted else None)]
    pairs: Mapping[str, tuple[object, object]] = {
        name: (getattr(stored, name), getattr(recounted, name)) for name in _COMPARED
    }
    return [
        Difference(trade_id, name, str(mine), str(theirs))
        for name, (mine, theirs) in pairs.items()
        if (
            abs(mine - theirs) >= CENT
            if isinstance(mine, Decimal) and isinstance(theirs, Decimal)
            else mine != theirs
        )
    ]
