"""Stop-losses that move: trailing stops, and stops that go to the entry. Pure functions.

A stop only ever moves toward the market.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from chalicelib.exchanges import filters
from chalicelib.exchanges.protocol import OrderRequest, Side
from chalicelib.trading import ExitLevel


def is_take_profit(order: OrderRequest) -> bool:
    """Returns whether an exit is a take-profit: it triggers against the direction of its side."""
    return order.exit_group is not None and (order.side is Side.BUY) is not order.trigger_above


def stop_after_price(order: OrderRequest, price: Decimal) -> OrderRequest:
    """Returns a stop-loss after the market has traded at a price."""
    moves = order.moves
    assert moves is not None
    above = bool(order.trigger_above)

    def reached(level: Decimal) -> bool:
        return price <= level if above else price >= level

    is_active = moves.is_active or moves.activation is None or reached(moves.activation)
    found = []
    if is_active and (moves.trailing_percent is not None or moves.trailing_distance is not None):
        level = ExitLevel(percent=moves.trailing_percent, distance=moves.trailing_distance)
        found.append(filters.stop_loss_price(order.instrument, level, price, trigger_above=above))
    if moves.break_even_price is not None and reached(moves.break_even_price):
        found.append(_entry_stop(order, moves.entry_price))
    return _tightened(replace(order, moves=replace(moves, is_active=is_active)), found)


def stop_after_take_profit(order: OrderRequest) -> OrderRequest:
    """Returns a stop-loss after a take-profit of its entry has filled."""
    moves = order.moves
    assert moves is not None
    if not moves.take_profits_left:
        return order
    left = moves.take_profits_left - 1
    found = [] if left else [_entry_stop(order, moves.entry_price)]
    return _tightened(replace(order, moves=replace(moves, take_profits_left=left)), found)


def _entry_stop(order: OrderRequest, entry_price: Decimal) -> Decimal:
    return filters.round_stop(order.instrument, entry_price, trigger_above=bool(order.trigger_above))


def _tightened(order: OrderRequest, prices: Sequence[Decimal]) -> OrderRequest:
    """Returns the order with the stop price that loses least."""
    assert order.stop_price is not None
    nearest = min if order.trigger_above else max
    return replace(order, stop_price=nearest([order.stop_price, *prices]))
