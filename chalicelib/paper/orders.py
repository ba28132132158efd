"""Waiting orders of the paper exchange, and the prices that trigger them. Pure functions."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderState, OrderStatus, Side
from chalicelib.paper.balances import NO_STRATEGY
from chalicelib.trading import MarketType, OrderType, TimeInForce

STOPS = (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)
_AT_ONCE = (TimeInForce.IOC.value, TimeInForce.FOK.value)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open order.

    Attributes:
        reserved: Reserved quote units. A spot sale reserves holdings of its quantity instead.
        triggered: Whether a stop-limit order's stop has been reached, so that it waits for its limit.
        reference: Caller's data, returned when the order changes.
        number: Number of the order on the account. Orders placed at the same time are processed by number.
        moved_at: Time of the price that last moved this stop-loss. None if it never moved.
    """

    order: OrderRequest
    reserved: Decimal
    triggered: bool
    reference: dict[str, Any]
    placed_at: datetime
    number: int = 0
    moved_at: datetime | None = None

    @property
    def state(self) -> OrderState:
        """Returns the order as the exchange reports it."""
        return state_of(self.order, OrderStatus.OPEN)

    @property
    def group(self) -> str:
        """The order's strategy."""
        return group_of(self.reference)

    @property
    def age(self) -> tuple[datetime, int]:
        """Sort key, oldest order first."""
        return self.placed_at, self.number


def group_of(reference: dict[str, Any]) -> str:
    """Returns the strategy that an order's reference names."""
    return reference.get("group_name") or NO_STRATEGY


def is_spot_sale(order: OrderRequest) -> bool:
    """Returns whether an order sells holdings."""
    return order.side is Side.SELL and order.instrument.market_type is MarketType.SPOT


def is_reducing(order: OrderRequest) -> bool:
    """Returns whether an order can only close or reduce."""
    return order.reduce_only or is_spot_sale(order)


def is_exit(order: OrderRequest) -> bool:
    """Returns whether an order is a take-profit or stop-loss.

    It closes what is left when it triggers, and reserves nothing before.
    """
    return order.oco_group is not None


def is_immediate(order: OrderRequest) -> bool:
    """Returns whether the part that does not fill at once is cancelled."""
    return order.time_in_force in _AT_ONCE


def place_of(instrument: Instrument) -> tuple[str, str]:
    """Returns what an instrument's trades change: a position, or on spot an asset of any quote currency."""
    futures = instrument.market_type is MarketType.FUTURES
    return instrument.market_type.value, instrument.name if futures else instrument.base


def is_marketable(order: OrderRequest, price: Decimal | None) -> bool:
    """Returns whether a limit order trades at once. Without a known price it waits."""
    return price is not None and order.order_type is OrderType.LIMIT and limit_reached(order, price)


def limit_reached(order: OrderRequest, price: Decimal) -> bool:
    """Returns whether a price is at the order's limit or better."""
    if order.price is None:
        return True
    return price <= order.price if order.side is Side.BUY else price >= order.price


def stop_reached(order: OrderRequest, price: Decimal) -> bool:
    """Returns whether a price triggers a stop order."""
    assert order.stop_price is not None
    return price >= order.stop_price if order.trigger_above else price <= order.stop_price


def state_of(order: OrderRequest, status: OrderStatus) -> OrderState:
    """Returns an order without fills as the exchange reports it."""
    return OrderState(
        client_order_id=order.client_order_id,
        exchange_order_id=None,
        status=status,
        instrument_name=order.instrument.name,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        stop_price=order.stop_price,
        trigger=order.order_type in STOPS,
    )
