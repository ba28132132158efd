"""Take-profit and stop-loss of an entry: separate orders, placed after a fill, one cancels the other.

The stop-loss is placed first. If the take-profit fails, the stop-loss stays. Both are conditional market
orders, reduce-only on futures. The filled quantity is protected at once. Later fills are protected in a
further round.
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
"""Attempts to place the exits of one order, one minute apart, before the user is notified of the failure."""

MOST_ENTRIES = 8
"""Largest number of orders with exits in one batch.

On a paper account the batch is one transaction of at most 100 writes, and an order takes up to nine.
"""

_FURTHEST = Decimal("0.8")
"""Largest distance of a stop-loss from the entry, as a share of the entry price.

A stop farther away is most likely a percentage or a distance sent as a price.
"""

# spot exchanges take up to 0.2 % of the bought quantity as fee, and some report it only later
_FEE_MARGIN = Decimal("0.998")


def check_distance(stop_loss: Decimal | None, entry: Decimal | None) -> None:
    """Raises Refused (`stop_too_far`) if a stop-loss is more than 80 % away from the entry.

    A price of None is unknown and passes.
    """
    if stop_loss is not None and entry is not None and abs(stop_loss - entry) > entry * _FURTHEST:
        raise Refused("stop_too_far", field="stop_loss", price=f"{stop_loss:f}", entry=f"{entry:f}")


def with_exits(order: OrderRequest, instruction: Instruction, price: Decimal) -> OrderRequest:
    """Returns an opening order with the signal's take-profit and stop-loss, rounded to the tick.

    Args:
        price: Approximate execution price, quote per base.

    Raises:
        NotDoable: `exit_on_wrong_side`: the stop-loss would trigger at once, or the take-profit at a loss.
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
    """Returns the exits of an entry's unprotected quantity, by leg, the stop-loss first.

    An exit larger than the exchange permits is split into parts.

    Args:
        market_price: Quote per base. None if unknown. If the market price has reached an exit, only that exit
            is returned, as a market order: a conditional order would be refused, or would wait for the price
            to return.
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
    """Returns the position that an entry has opened or added to."""
    long = entry.side is Side.BUY
    side = (PositionSide.LONG if long else PositionSide.SHORT) if entry.hedged else None
    quantity = entry.received if long else -entry.received
    return Position(
        entry.symbol, instrument.market_type, quantity, position_side=side, margin_mode=entry.margin_mode
    )
