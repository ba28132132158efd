"""Orders of the paper exchange: waiting ones, and when a price reaches them. Pure."""

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
        reserved: Quote units set aside for it; on a spot sale it is holdings that are set aside, its
            quantity.
        triggered: A stop-limit order whose stop has been reached, and which now waits for its limit.
        reference: What the caller wants back when something happens to the order.
        number: Of the order on the account. Orders placed at the same moment are looked at in this order.
    """

    order: OrderRequest
    reserved: Decimal
    triggered: bool
    reference: dict[str, Any]
    placed_at: datetime
    number: int = 0

    @property
    def state(self) -> OrderState:
        """The order as the exchange reports it."""
        return state_of(self.order, OrderStatus.OPEN)

    @property
    def group(self) -> str:
        """The strategy the order belongs to."""
        return group_of(self.reference)

    @property
    def age(self) -> tuple[datetime, int]:
        """Sorts the oldest order first."""
        return self.placed_at, self.number


def group_of(reference: dict[str, Any]) -> str:
    """The strategy that an order's reference names."""
    return reference.get("group_name") or NO_STRATEGY


def is_spot_sale(order: OrderRequest) -> bool:
    """Whether an order sells holdings."""
    return order.side is Side.SELL and order.instrument.market_type is MarketType.SPOT


def is_reducing(order: OrderRequest) -> bool:
    """Whether an order can only close or reduce."""
    return order.reduce_only or is_spot_sale(order)


def is_exit(order: OrderRequest) -> bool:
    """Whether an order is a take-profit or stop-loss.

    It leaves what is there, and holds nothing until then.
    """
    return order.oco_group is not None


def is_immediate(order: OrderRequest) -> bool:
    """Whether what does not fill at once is cancelled."""
    return order.time_in_force in _AT_ONCE


def place_of(instrument: Instrument) -> tuple[str, str]:
    """What an instrument's trades move: a position, or on spot an asset, whatever it is quoted in."""
    futures = instrument.market_type is MarketType.FUTURES
    return instrument.market_type.value, instrument.name if futures else instrument.base


def is_marketable(order: OrderRequest, price: Decimal | None) -> bool:
    """Whether a limit order trades at once; without a known price it waits."""
    return price is not None and order.order_type is OrderType.LIMIT and limit_reached(order, price)


def limit_reached(order: OrderRequest, price: Decimal) -> bool:
    """Whether a price is at the order's limit or better."""
    if order.price is None:
        return True
    return price <= order.price if order.side is Side.BUY else price >= order.price


def stop_reached(order: OrderRequest, price: Decimal) -> bool:
    """Whether a price triggers a stop order."""
    assert order.stop_price is not None
    return price >= order.stop_price if order.trigger_above else price <= order.stop_price


def state_of(order: OrderRequest, status: OrderStatus) -> OrderState:
    """An order without fills as the exchange reports it."""
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
