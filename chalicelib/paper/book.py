"""The paper exchange: orders fill at the prices that it is given. Pure, `paper/store.py` reads and writes.

It also replaces exchanges on demo accounts without keys. It simulates spot with cash and holdings, and
futures with one-way positions, cross margin, leverage and liquidation. Market orders fill at once. Limit and
stop orders wait for a price. Funding is not simulated.

- A market order trades at the market price moved by the account's slippage.
- A limit order that the market has already reached trades like a market order, but never worse than its
  limit. A limit order that waited trades at its limit.
- A waiting order reserves its cash, margin or holdings when it is placed.
- Exits reserve nothing: they close what is left when they trigger, end with their position, and never cover
  more than their strategy still owns.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Any

from chalicelib.accounts.model import Account
from chalicelib.accounts.rates import Rates
from chalicelib.errors import NotDoable, Refused
from chalicelib.exchanges.protocol import OrderRequest, OrderState, OrderStatus, Side
from chalicelib.paper.balances import DOLLARS, NO_STRATEGY, Holding, Position, owners, price_names, shares
from chalicelib.paper.fills import BalanceFill, exchange_fills, position_fill
from chalicelib.paper.money import Fill, fill, places, round_money
from chalicelib.paper.orders import (
    STOPS,
    Waiting,
    group_of,
    is_exit,
    is_immediate,
    is_marketable,
    is_reducing,
    is_spot_sale,
    limit_reached,
    state_of,
    stop_reached,
)
from chalicelib.paper.resting_orders import Resting
from chalicelib.trading import MarketType, OrderType, TimeInForce

__all__ = ["DOLLARS", "Account", "Book", "Holding", "Position", "Waiting", "price_names"]

_ZERO = Decimal(0)
Closing = Callable[[str, Position, str, Decimal], OrderRequest]
"""Name, position, strategy and quantity of the close."""

Permit = Callable[[OrderRequest, dict[str, Any], Decimal], None]


@dataclass(slots=True)
class Book(Resting):
    """A paper account while the orders of one signal run.

    Attributes:
        orders: Number of orders that the account has had.
        version: Version of the stored item. 0 if there was none.
        reset_at_order: `orders` at the last reset. What earlier orders opened is gone.
        realised: Realised PnL since the book was read, net of costs, by client order id. In the account's
            currency.
        fills: What fills did to holdings and positions. The caller removes them.
        permit: Called before a waiting order opens, with its reference and fill price. Raises Refused to
            block it.
    """

    orders: int = 0
    version: int = 0
    reset_at_order: int = 0
    last_fill: Fill | None = None
    realised: dict[str, Decimal] = field(default_factory=dict)
    fills: list[BalanceFill] = field(default_factory=list)
    permit: Permit | None = None
    _siblings: list[tuple[Waiting, OrderState]] = field(default_factory=list)

    def place(
        self, order: OrderRequest, price: Decimal | None, reference: dict[str, Any], now: datetime
    ) -> OrderState:
        """Places an order: fills it or lets it wait.

        Args:
            price: The market price, quote per base. None if unknown. A waiting limit order needs none.

        Raises:
            NotDoable: `no_price`, `insufficient_funds`, `insufficient_holdings`, `post_only_would_fill`,
                `below_minimum_notional`. Nothing has changed.
        """
        if price is not None:
            self.prices[order.instrument.name] = price
        if order.order_type is OrderType.MARKET or is_marketable(order, price):
            if price is None:
                raise NotDoable("no_price", symbol=order.instrument.name)
            if order.post_only:
                raise NotDoable("post_only_would_fill", symbol=order.instrument.name)
            state = self._execute(order, price, group_of(reference), taking=True)
            self.count_take_profit(order)
        elif order.order_type is OrderType.LIMIT and is_immediate(order):
            self._reserve(order)
            state = self._cancel_unfilled(order)
        else:
            state = self._let_wait(order, price, reference, now)
        self.orders += 1
        return replace(state, exchange_order_id=str(self.orders))

    def on_price(
        self,
        instrument_name: str,
        price: Decimal,
        market_type: MarketType | None = None,
        placed_before: datetime | None = None,
        only: Collection[str] | None = None,
    ) -> Iterator[tuple[Waiting, OrderState]]:
        """Applies a new market price to an instrument's waiting orders.

        Yields changed orders, oldest first. Then moves the stop-losses that follow the price.

        Args:
            market_type: Only orders of this market see it. None lets both.
            placed_before: Only orders placed before this time see it. None lets all.
            only: Only these client order ids see it, whatever market and time say. None lets all.
        """
        self.prices[instrument_name] = price
        if only is None:
            due = self.waiting_orders(instrument_name, market_type, placed_before)
        else:
            due = [self.waiting[name] for name in only if name in self.waiting]
        for each in sorted(due, key=lambda order: order.age):
            waiting = self.waiting.get(each.order.client_order_id)
            if waiting is None:
                continue  # the other order of its OCO group has traded, or the position is closed
            if state := self._state_at_price(waiting, price):
                if state.filled:
                    self.count_take_profit(waiting.order)
                yield waiting, state
                siblings, self._siblings = self._siblings, []
                yield from siblings
        self.move_stops(due, price)

    def waiting_orders(
        self, instrument_name: str, market_type: MarketType | None, placed_before: datetime | None
    ) -> list[Waiting]:
        """The waiting orders of an instrument. None as market or time leaves no order out.

        A stop-loss that a later price has moved counts as placed after `placed_before`.
        """
        return [
            each
            for each in self.waiting.values()
            if each.order.instrument.name == instrument_name
            and market_type in (None, each.order.instrument.market_type)
            and (placed_before is None or each.placed_at < placed_before)
            and (placed_before is None or each.moved_at is None or each.moved_at <= placed_before)
        ]

    def _state_at_price(self, waiting: Waiting, price: Decimal) -> OrderState | None:
        """Returns the order's new state at this price. None if it keeps waiting unchanged."""
        order = waiting.order
        if order.order_type in STOPS and not waiting.triggered:
            if not stop_reached(order, price):
                return None
            if order.order_type is OrderType.STOP_LIMIT and not limit_reached(order, price):
                if is_immediate(order):
                    self._end(order.client_order_id)
                    return self._cancel_unfilled(order)
                self.waiting[order.client_order_id] = replace(waiting, triggered=True)
                self.changed.add(f"order#{order.client_order_id}")
                return None
            taking = True
        elif limit_reached(order, price):
            taking = False
        else:
            return None
        self._end(order.client_order_id)
        try:
            at = price if taking else order.price or price
            if self.permit and not is_reducing(order):
                self.permit(order, waiting.reference, self.fill_price(order, at, taking=taking))
            return self._execute(order, at, waiting.group, taking=taking)
        except Refused as refused:
            self.reasons[order.client_order_id] = refused
            return state_of(order, OrderStatus.CANCELLED)

    def _cancel_unfilled(self, order: OrderRequest) -> OrderState:
        self.reasons[order.client_order_id] = NotDoable("not_filled_at_once", symbol=order.instrument.name)
        return state_of(order, OrderStatus.CANCELLED)

    def _let_wait(
        self, order: OrderRequest, price: Decimal | None, reference: dict[str, Any], now: datetime
    ) -> OrderState:
        if order.order_type in STOPS and order.trigger_above is None:
            if price is None or order.stop_price is None:
                raise NotDoable("no_price", symbol=order.instrument.name)
            order = replace(order, trigger_above=order.stop_price >= price)
        reserved = self._reserve(order)
        self.waiting[order.client_order_id] = Waiting(order, reserved, False, reference, now, self.orders + 1)
        self.changed.add(f"order#{order.client_order_id}")
        return state_of(order, OrderStatus.OPEN)

    def _reserve(self, order: OrderRequest) -> Decimal:
        """Returns the amount to reserve until the order fills, quote units."""
        if order.reduce_only or is_exit(order):
            self._fillable(order)
            return _ZERO
        taking = order.order_type is OrderType.STOP_MARKET
        done = self._fill(order, order.price or order.stop_price or _ZERO, order.quantity, taking=taking)
        if is_spot_sale(order):
            self._need_holdings(order, order.quantity)
            return _ZERO
        if order.instrument.market_type is MarketType.SPOT:
            needed = done.total
        else:
            before, after, won = self._fill_effect(order, done, NO_STRATEGY)
            needed = after.margin - before.margin + done.commission - won
        self._need_funds(order, needed)
        return max(needed, _ZERO)

    def _execute(self, order: OrderRequest, price: Decimal, group: str, *, taking: bool) -> OrderState:
        """Fills an order at a price. A taking order has slippage, a waiting order has none."""
        quantity = self._fillable(order)
        if quantity != order.quantity and order.time_in_force == TimeInForce.FOK.value:
            return self._cancel_unfilled(order)
        done = self._fill(order, price, quantity, taking=taking)
        if order.instrument.market_type is MarketType.FUTURES:
            self._move_position(order, done, group)
        else:
            self._exchange(order, done, group)
        self.last_fill = done
        self._end_siblings(order)
        self.end_exits(order.instrument)
        return replace(
            state_of(
                order, OrderStatus.FILLED if done.quantity == order.quantity else OrderStatus.PARTIALLY_FILLED
            ),
            filled=done.quantity,
            average_price=done.price,
            fee=done.commission,
            fee_currency=order.instrument.quote,
        )

    def _end_siblings(self, order: OrderRequest) -> None:
        """Ends the other exit of an OCO group, before the rest of the exits share what is left."""
        for name in self._in_oco_group(order):
            if cancelled := self.cancel(name):
                self.reasons[name] = NotDoable("position_left", symbol=order.instrument.name)
                self._siblings.append(cancelled)

    def fill_price(self, order: OrderRequest, price: Decimal, *, taking: bool) -> Decimal:
        """Returns the price at which an order fills while the market is at `price`, quote per base."""
        return self._fill(order, price, order.quantity, taking=taking, checked=False).price

    def _fill(
        self, order: OrderRequest, price: Decimal, quantity: Decimal, *, taking: bool, checked: bool = True
    ) -> Fill:
        instrument, buying = order.instrument, order.side is Side.BUY
        free_of_slippage = Rates(_ZERO, self.account.commission_bps)

        def filled(at: Decimal, rates: Rates) -> Fill:
            tick, currency = instrument.price_tick, instrument.quote
            return fill(buying=buying, price=at, quantity=quantity, rates=rates, tick=tick, currency=currency)

        done = filled(price, self.account.rates if taking else free_of_slippage)
        if (
            order.price is not None
            and order.order_type is not OrderType.MARKET
            and (done.price > order.price) is buying
        ):
            done = filled(order.price, free_of_slippage)
        futures = instrument.market_type is MarketType.FUTURES
        if not done.price and futures:
            done = filled(instrument.price_tick, free_of_slippage)
        if checked and not done.value and not (futures and self._opening(order, quantity) == 0):
            self._refuse_worthless(order, price, quantity)
        return done

    @staticmethod
    def _refuse_worthless(order: OrderRequest, price: Decimal, quantity: Decimal) -> None:
        instrument, least = order.instrument, Decimal(1).scaleb(-places(order.instrument.quote))
        nearest = (least / price / instrument.quantity_step).to_integral_value(
            ROUND_CEILING
        ) * instrument.quantity_step
        values = {"notional": _plain(price * quantity), "minimum": _plain(least), "nearest": _plain(nearest)}
        raise NotDoable("below_minimum_notional", symbol=instrument.name, **values)

    def _opening(self, order: OrderRequest, quantity: Decimal) -> Decimal:
        """Returns how much of a futures order opens or adds, base units. The rest closes."""
        held = self.held(order.instrument)
        against = held < 0 if order.side is Side.BUY else held > 0
        return max(quantity - abs(held), _ZERO) if against else quantity

    def _fillable(self, order: OrderRequest) -> Decimal:
        """Returns how much of the order fills, base units.

        An order that reduces fills completely. An order that opens fills by the account's fill rate.

        Raises:
            NotDoable: `no_position`. `below_minimum` if the fill rate leaves less than one step.
        """
        if order.reduce_only:
            held = self.held(order.instrument)
            return self._available_part(order, held if order.side is Side.SELL else -held)
        if is_spot_sale(order):
            return (
                self._available_part(order, self.balance(order.instrument.base))
                if is_exit(order)
                else order.quantity
            )
        futures = order.instrument.market_type is MarketType.FUTURES
        opening, step = (
            self._opening(order, order.quantity) if futures else order.quantity,
            order.instrument.quantity_step,
        )
        if self.account.fill_rate == 1:
            return order.quantity
        filling = (opening * self.account.fill_rate / step).quantize(Decimal(1), ROUND_DOWN) * step
        if not order.quantity - opening + filling:
            nearest = (1 / self.account.fill_rate).to_integral_value(ROUND_CEILING) * step
            raise NotDoable("below_minimum", symbol=order.instrument.name, nearest=_plain(nearest))
        return order.quantity - opening + filling

    @staticmethod
    def _available_part(order: OrderRequest, there: Decimal) -> Decimal:
        """Returns how much of the available quantity an order takes, base units."""
        if there <= 0:
            raise NotDoable("no_position", symbol=order.instrument.name)
        return min(order.quantity, there)

    def _exchange(self, order: OrderRequest, done: Fill, group: str) -> None:
        """Exchanges one asset for another."""
        base, quote = order.instrument.base, order.instrument.quote
        rate = self.rate(quote)
        buying = order.side is Side.BUY
        if buying:
            self._need_funds(order, done.total)
        elif not is_exit(order):
            self._need_holdings(order, done.quantity)
        purses = map(self.purse, (base, quote))
        before = {purse: replace(self.holdings.get(purse, Holding())) for purse in purses}
        if buying:
            cost = self.take(quote, done.total, group)
            worth = self.give(base, done.quantity, done.value * (rate or _ZERO), group)
        else:
            cost = self.take(base, done.quantity, group)
            # If the price of the received asset is unknown, its cost is the cost of the asset given.
            worth = self.give(quote, done.total, done.total * rate if rate is not None else cost, group)
        self._realise(order, worth - cost, self.holdings.get(self.purse(base)))
        if rate is None:
            rate = cost / done.total if done.total else _ZERO
        found = exchange_fills(order, done, group, rate, before)
        self.fills += [each for each in found if each.item != f"asset#{self.account.currency}"]

    def _move_position(self, order: OrderRequest, done: Fill, group: str) -> None:
        """Applies a futures fill to its position.

        The opposite part closes and realises its profit. The rest opens and uses margin.
        """
        before, position, profit = self._fill_effect(order, done, group)
        opening = self._opening(order, done.quantity)
        if opening:
            self._need_funds(order, self._margin_needed(order, done))
        self.positions[order.instrument.name] = position
        self.changed.add(f"position#{order.instrument.name}")
        rate = self.rate(before.quote) or _ZERO
        self._realise(order, self.add_profit(before.quote, profit - done.commission, group), None)
        self.fills.append(position_fill(order, done, group, rate, before, done.quantity - opening, profit))

    def _fill_effect(self, order: OrderRequest, done: Fill, group: str) -> tuple[Position, Position, Decimal]:
        """Returns the position before and after a fill, and the closed part's profit, quote units."""
        found = self.positions.get(order.instrument.name)
        before = found if found and found.quantity else Position(order.instrument.quote)
        signed = done.quantity if order.side is Side.BUY else -done.quantity
        opening = self._opening(order, done.quantity)
        closing = done.quantity - opening
        won = (
            round_money(before.profit(done.price) * closing / abs(before.quantity), self.purse(before.quote))
            if closing
            else _ZERO
        )
        entry, leverage = before.entry_price, before.leverage
        if opening:
            stays = abs(before.quantity) if not closing else _ZERO
            entry = (stays * before.entry_price + opening * done.price) / (stays + opening)
            leverage = order.leverage or before.leverage
        owned = owners(before.owned, group, before.quantity, signed)
        after = Position(before.quote, before.quantity + signed, entry, leverage, owned, before.lots)
        return before, after, won

    def _margin_needed(self, order: OrderRequest, done: Fill) -> Decimal:
        """Returns the free quote units that a futures fill needs.

        The margin of the whole resulting position, less the margin and profit that closing frees.
        """
        name = order.instrument.name
        before, after, won = self._fill_effect(order, done, NO_STRATEGY)
        others = self.unrealised(before.quote) - (
            before.profit(self.mark(name)) if name in self.positions else _ZERO
        )
        loss_before = min(self.unrealised(before.quote), _ZERO)
        loss_after = min(others + after.profit(done.price), _ZERO)
        return after.margin - before.margin + done.commission - won - (loss_after - loss_before)

    def liquidate(self, closing: Closing) -> Iterator[tuple[OrderRequest, OrderState]]:
        """Closes positions until their balance covers the rest, the greatest loss first.

        Cancels orders that would open more of them first, as exchanges do.

        Args:
            closing: Returns the order that closes a part of a position, for the strategy that owns the part.
        """
        for purse in sorted({self.purse(position.quote) for position in self.positions.values()}):
            while self.below_maintenance(purse):
                self._cancel_entries(purse)
                name, position = min(
                    self.settling_in(purse), key=lambda each: each[1].profit(self.mark(each[0]))
                )
                owned = shares(position.owned, position.quantity)
                group, quantity = min((name, share) for name, share in owned.items() if share)
                order = closing(name, position, group, quantity)
                self.orders += 1
                state = self._execute(order, self.mark(name), group, taking=True)
                self.reasons[order.client_order_id] = NotDoable("liquidated", symbol=name)
                yield order, replace(state, exchange_order_id=str(self.orders))

    def _cancel_entries(self, purse: str) -> None:
        for waiting in list(self.waiting.values()):
            order = waiting.order
            futures = order.instrument.market_type is MarketType.FUTURES
            if futures and not order.reduce_only and self.purse(order.instrument.quote) == purse:
                self.cancel_because(
                    order.client_order_id, NotDoable("liquidated", symbol=order.instrument.name)
                )

    def _realise(self, order: OrderRequest, profit: Decimal, holding: Holding | None) -> None:
        """Records a fill's realised PnL. A holding carries amounts below one cent until its next sale."""
        exact = profit + (holding.carry if holding else _ZERO)
        won = round_money(exact, self.account.currency)
        if holding:
            holding.carry = exact - won if holding.quantity else _ZERO
        self.realised[order.client_order_id] = self.realised.get(order.client_order_id, _ZERO) + won

    def _need_funds(self, order: OrderRequest, needed: Decimal) -> None:
        available = self._available(order.instrument.quote)
        if needed > max(available, _ZERO):
            shown = round_money(needed, order.instrument.quote)
            raise NotDoable(
                "insufficient_funds", needed=f"{shown:f}", available=_plain(self.free(order.instrument.quote))
            )

    def _need_holdings(self, order: OrderRequest, quantity: Decimal) -> None:
        available = self.held(order.instrument)
        if quantity > available:
            raise NotDoable(
                "insufficient_holdings",
                needed=_plain(quantity),
                available=_plain(available),
                asset=order.instrument.base,
            )


def _plain(amount: Decimal) -> str:
    """Returns an amount in plain decimal notation: 10000, 0.5."""
    return f"{amount.normalize():f}"
