"""Take-profit and stop-loss of an order that opens.

Orders of their own, placed once it has traded, of which one cancels the other.

The stop-loss is placed first, since it is what protects; a take-profit that fails leaves it standing. Both
are conditional market orders, reduce-only on futures. Whatever has filled is protected at once; what fills
later in a round of its own.
"""

from dataclasses import replace
from decimal import Decimal

from chalicelib.errors import NotDoable, Refused
from chalicelib.exchanges import filters
from chalicelib.exchanges.client_ids import client_order_id
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Position, Side
from chalicelib.execution import closing
from chalicelib.orders.legs import part_of
from chalicelib.orders.models import Instruction, Order
from chalicelib.trading import MarketType, OrderType, PositionSide

ROUNDS = 10
"""Tries at placing the exits of one order, a minute apart, before it is given up and told so."""

MOST_ENTRIES = 8
"""Orders with exits in one batch.

On a paper account all is one transaction of at most a hundred writes, and each is up to nine.
"""

_FURTHEST = Decimal("0.8")
"""Share of the entry price that a stop-loss may be away from it.

A stop beyond that is a percentage or a distance taken for a price.
"""

_FEE_MARGIN = Decimal("0.998")  # spot exchanges take up to 0.2 % of what was bought, and some tell only later


def check_distance(stop_loss: Decimal | None, entry: Decimal | None) -> None:
    """Raises Refused (`stop_too_far`) if a stop-loss is more than 80 % away from the entry.

    None is not known, and passes.
    """
    if stop_loss is not None and entry is not None and abs(stop_loss - entry) > entry * _FURTHEST:
        raise Refused("stop_too_far", field="stop_loss", price=f"{stop_loss:f}", entry=f"{entry:f}")


def with_exits(order: OrderRequest, instruction: Instruction, price: Decimal) -> OrderRequest:
    """An order that opens, with the signal's take-profit and stop-loss on it, on the tick.

    Args:
        price: What it will trade at, roughly, quote per base.

    Raises:
        NotDoable: `exit_on_wrong_side`: the stop-loss would fire at once, or the take-profit at a loss.
        Refused: `stop_too_far`.
    """
    check_distance(instruction.stop_loss, price)
    found = {}
    for name, wanted in (("take_profit", instruction.take_profit), ("stop_loss", instruction.stop_loss)):
        if wanted is not None:
            above = (name == "take_profit") is (order.side is Side.BUY)
            found[name] = filters.round_trigger(order.instrument, wanted, trigger_above=above)
            if found[name] <= 0 or (found[name] > price) is not above or found[name] == price:
                raise NotDoable(
                    "exit_on_wrong_side",
                    symbol=order.instrument.name,
                    field=name,
                    price=f"{wanted:f}",
                    entry=f"{price:f}",
                )
    return replace(order, take_profit=found.get("take_profit"), stop_loss=found.get("stop_loss"))


def exit_orders(
    entry: Order, instrument: Instrument, market_price: Decimal | None
) -> dict[str, OrderRequest]:
    """The orders that leave what of an entry is unprotected, by leg, the stop-loss first.

    In parts, if too large.

    Args:
        market_price: Quote per base. Where it has reached one of the exits already, there are orders of that
            one
            only, at market: a conditional order would be refused, or wait for the price to come back.
    """
    size = entry.unprotected
    if instrument.market_type is MarketType.SPOT and entry.fee is None:
        size *= _FEE_MARGIN
    quantity = filters.round_quantity(instrument, size)
    highest = max(
        (price for price in (market_price, entry.stop_loss, entry.take_profit) if price is not None),
        default=None,
    )
    sizes = closing.parts(instrument, quantity, highest)
    again = str(entry.exit_round or "")
    made: dict[str, OrderRequest] = {}
    for name, stop in (("sl", entry.stop_loss), ("tp", entry.take_profit)):
        if stop is None:
            continue
        above = (name == "tp") is (entry.side is Side.BUY)
        passed = market_price is not None and (market_price >= stop if above else market_price <= stop)
        of_stop = {}
        for number, part in enumerate(sizes, 1):
            leg = part_of(f"{entry.leg}.{name}{again}", number)
            of_stop[leg] = replace(
                closing.closing_order(_position(entry, instrument), instrument, part),
                client_order_id=client_order_id(entry.signal_id, entry.account_id, leg),
                order_type=OrderType.MARKET if passed else OrderType.STOP_MARKET,
                stop_price=None if passed else stop,
                trigger_above=above,
                oco_group=part_of(f"{entry.client_order_id}{again}", number),
            )
        if passed:
            return of_stop
        made |= of_stop
    return made


def _position(entry: Order, instrument: Instrument) -> Position:
    """The position that an entry has opened or added to."""
    long = entry.side is Side.BUY
    side = (PositionSide.LONG if long else PositionSide.SHORT) if entry.hedged else None
    quantity = entry.received if long else -entry.received
    return Position(
        entry.symbol, instrument.market_type, quantity, position_side=side, margin_mode=entry.margin_mode
    )
