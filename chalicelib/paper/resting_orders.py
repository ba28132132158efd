"""Resting orders of a simulated account: their reservations, and their end together with their position.

Pure functions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from chalicelib.errors import NotDoable, Refused
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderState, OrderStatus, Side
from chalicelib.paper import moving_stops
from chalicelib.paper.balances import Balances, Holding, floor_money, shares
from chalicelib.paper.orders import Waiting, is_exit, is_reducing, is_spot_sale, place_of, state_of
from chalicelib.trading import MarketType

_ZERO = Decimal(0)


@dataclass(slots=True)
class Resting(Balances):
    """Balances with the waiting orders.

    Attributes:
        reasons: Why orders ended without a request, by client order id.
        ended: Orders that ended or shrank with their position. The caller removes them.
        moved: Client order ids of the stop-losses that moved. The caller removes them.
        price_time: Time of the price that is being applied.
    """

    waiting: dict[str, Waiting] = field(default_factory=dict)
    reasons: dict[str, Refused] = field(default_factory=dict)
    ended: list[tuple[Waiting, OrderState]] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    price_time: datetime | None = None

    def free(self, quote: str) -> Decimal:
        """Returns the free units of an asset, never negative.

        Margin, waiting orders and unrealised losses reduce the free units.
        """
        return floor_money(self._available(quote), self.purse(quote))

    def _available(self, asset: str) -> Decimal:
        """Returns the free units unrounded. Negative if a loss exceeds the reserved amounts."""
        purse = self.purse(asset)
        margin = sum((position.margin for _, position in self.settling_in(purse)), _ZERO)
        held = margin + self._units_for_sale(purse)
        for waiting in self.waiting.values():
            if self.purse(waiting.order.instrument.quote) == purse:
                held += waiting.reserved
        return self.balance(purse) + min(self.unrealised(purse), _ZERO) - held

    def _units_for_sale(self, asset: str) -> Decimal:
        """Returns the units that waiting sales will sell."""
        orders = [waiting.order for waiting in self.waiting.values()]
        offers = [order for order in orders if is_spot_sale(order) and not is_exit(order)]
        return sum((order.quantity for order in offers if self.purse(order.instrument.base) == asset), _ZERO)

    def held(self, instrument: Instrument) -> Decimal:
        """Returns the free holdings of the base asset on spot, or the futures position, negative if short."""
        if instrument.market_type is MarketType.FUTURES:
            return self.positions[instrument.name].quantity if instrument.name in self.positions else _ZERO
        return max(self._available(instrument.base), _ZERO)

    def exposure(self, instrument: Instrument, side: Side, *, waiting: bool = True) -> tuple[Decimal, int]:
        """Returns the exposure on one side of an instrument, base units, and the number of other positions.

        Args:
            waiting: Whether waiting orders count with the size that they would add.
        """
        held = {("futures", name): position.quantity for name, position in self.positions.items()}
        held |= {("spot", asset): holding.quantity for asset, holding in self.holdings.items()}
        direction = 1 if side is Side.BUY else -1
        total = max(held.get(place_of(instrument), _ZERO) * direction, _ZERO)
        there = {place for place, quantity in held.items() if quantity}
        for order in (each.order for each in self.waiting.values() if waiting):
            if not is_reducing(order):
                there.add(place_of(order.instrument))
                if place_of(order.instrument) == place_of(instrument) and order.side is side:
                    total += order.quantity
        return total, len(there - {place_of(instrument)})

    def cancel(self, client_order_id: str) -> tuple[Waiting, OrderState] | None:
        """Cancels a waiting order. Returns None if it no longer waits."""
        waiting = self._end(client_order_id)
        return (waiting, state_of(waiting.order, OrderStatus.CANCELLED)) if waiting else None

    def cancel_because(self, client_order_id: str, reason: Refused) -> None:
        """Cancels a waiting order for a reason. The order is added to `ended`."""
        if cancelled := self.cancel(client_order_id):
            self.reasons[client_order_id] = reason
            self.ended.append(cancelled)

    def _in_oco_group(self, order: OrderRequest) -> list[str]:
        """Returns the waiting orders that are cancelled as soon as this one trades."""
        if order.oco_group is None:
            return []
        return [
            name
            for name, other in self.waiting.items()
            if other.order.oco_group == order.oco_group and name != order.client_order_id
        ]

    def end_exits(self, instrument: Instrument) -> None:
        """Ends exits of closed positions, and limits exits to what their strategy owns, the oldest first."""
        spot, place = instrument.market_type is MarketType.SPOT, place_of(instrument)
        found = (
            self.holdings.get(instrument.base) if spot else self.positions.get(instrument.name)
        ) or Holding()
        left = shares(found.owned, found.quantity)
        cover: dict[str, Decimal] = {}
        for waiting in sorted(self.waiting.values(), key=lambda each: each.age, reverse=True):
            order = waiting.order
            if place_of(order.instrument) != place or not (order.reduce_only or is_exit(order)):
                continue
            leaves = found.quantity > 0 if order.side is Side.SELL else found.quantity < 0
            key = order.oco_group or order.client_order_id
            if key not in cover and is_exit(order):
                own = left.get(waiting.group, _ZERO)
                cover[key] = min(order.quantity, own)
                left[waiting.group] = own - cover[key]
            covered = cover.get(key, order.quantity)
            if not leaves or not covered:
                self.cancel_because(
                    order.client_order_id, NotDoable("position_left", symbol=order.instrument.name)
                )
            elif covered < order.quantity:
                self._shrink(waiting, covered)
        if spot:
            self._end_sales(instrument)

    def _end_sales(self, instrument: Instrument) -> None:
        """Cancels the newest waiting sales of an asset if an exit has sold the holdings that they offer."""
        for waiting in sorted(self.waiting.values(), key=lambda each: each.age, reverse=True):
            order = waiting.order
            if self._available(instrument.base) >= 0:
                return
            if is_spot_sale(order) and not is_exit(order) and order.instrument.base == instrument.base:
                self.cancel_because(
                    order.client_order_id, NotDoable("position_left", symbol=order.instrument.name)
                )

    def move_stops(self, stops: Iterable[Waiting], price: Decimal) -> None:
        """Moves those of the waiting orders that follow the market's price."""
        for waiting in stops:
            standing = self.waiting.get(waiting.order.client_order_id)
            if standing is not None and standing.order.moves is not None:
                self._move(standing, moving_stops.stop_after_price(standing.order, price))

    def count_take_profit(self, order: OrderRequest) -> None:
        """Moves the stop-losses that wait for this take-profit to fill. No-op for another order."""
        if not moving_stops.is_take_profit(order):
            return
        for waiting in list(self.waiting.values()):
            if waiting.order.exit_group == order.exit_group and waiting.order.moves is not None:
                self._move(waiting, moving_stops.stop_after_take_profit(waiting.order))

    def _move(self, waiting: Waiting, order: OrderRequest) -> None:
        if order == waiting.order:
            return
        name = order.client_order_id
        self.waiting[name] = replace(waiting, order=order, moved_at=self.price_time)
        self.changed.add(f"order#{name}")
        self.moved.add(name)

    def _shrink(self, waiting: Waiting, quantity: Decimal) -> None:
        smaller = replace(waiting, order=replace(waiting.order, quantity=quantity))
        self.waiting[waiting.order.client_order_id] = smaller
        self.changed.add(f"order#{waiting.order.client_order_id}")
        self.ended.append((smaller, smaller.state))

    def _end(self, client_order_id: str) -> Waiting | None:
        waiting = self.waiting.pop(client_order_id, None)
        if waiting:
            self.changed.add(f"order#{client_order_id}")
        return waiting
