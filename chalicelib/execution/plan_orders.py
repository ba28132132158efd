"""Plans an instruction's orders on an account: which orders, their size and their sequence.

`buy` and `sell` are order sides. Against an opposite futures position they reduce it, at most to flat. `long`
and `short` are directions. They close an opposite position first, then open. On spot there are no short
positions: `sell` and `short` sell holdings.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Protocol, TypeVar

from chalicelib.errors import NotDoable, Refused
from chalicelib.exchanges import filters
from chalicelib.exchanges.client_ids import client_order_id
from chalicelib.exchanges.conditional_orders import most_conditional_orders, permits_several_take_profits
from chalicelib.exchanges.protocol import OrderRequest, Position, Side
from chalicelib.exchanges.wire import text
from chalicelib.execution import protective_orders, reference_price, sizing
from chalicelib.execution.client import ExecutionClient
from chalicelib.execution.closing import Leave, Leaving, as_order, closing_order, leavings
from chalicelib.orders.legs import CLOSING_LEG
from chalicelib.orders.models import Instruction, Order, RefusedLeg
from chalicelib.trading import Action, ExitPlan, Leg, MarketType, OrderType, PositionSide, Symbol

_ZERO = Decimal(0)

Result = TypeVar("Result")


class PreTradeRiskCheck(Protocol):
    """Checks orders that open or add. Orders that close or reduce are not checked."""

    def opening(self) -> None:
        """Raises Refused if no order may open now: trading halted, signal stale or a rule broken."""
        ...

    def order(self, order: OrderRequest, price: Decimal) -> None:
        """Raises Refused if this order exceeds a risk rule.

        Args:
            price: Approximate execution price, quote per base.
        """
        ...

    def opened(self) -> None:
        """Counts a placed order."""
        ...


@dataclass(slots=True)
class Outcome:
    """The result of an instruction on one account.

    Attributes:
        note: Code that explains why nothing had to be done. None otherwise.
    """

    orders: list[Order]
    refused: list[RefusedLeg]
    cancelled: int = 0
    not_cancelled: int = 0
    note: str | None = None


def plan_orders(instruction: Instruction, client: ExecutionClient, risk_check: PreTradeRiskCheck) -> Outcome:
    """Executes an instruction leg by leg. A refused leg does not affect the others.

    Raises:
        Refused: The whole instruction is refused.
        ArithmeticError: A value cannot be computed. The caller writes nothing of the attempt.
    """
    if instruction.came_late:
        return Outcome([], [], note="came_late")
    outcome = Outcome([], [])
    if instruction.action is Action.CANCEL_ALL:
        _cancel(instruction, client, outcome, instruction.group_name)
        return outcome
    symbol, market_type = instruction.symbol, instruction.market_type
    if symbol is None or market_type is None:
        raise Refused("missing_field", field="symbol")
    run_ = _Run(instruction, client, risk_check, outcome, symbol, market_type)
    if instruction.action is Action.STOP:
        _cancel(instruction, client, outcome, None)
        if run_.holds_something() or not outcome.cancelled:
            run_.close()
    else:
        _trade(run_)
    return outcome


def _trade(run_: "_Run") -> None:
    """Closes, opens or reduces, as the action says."""
    instruction = run_.instruction
    side = Side.BUY if instruction.action in (Action.BUY, Action.LONG) else Side.SELL
    match instruction.action:
        case Action.CLOSE:
            run_.close()
        case Action.LONG | Action.SHORT if instruction.shrinks:
            run_.shrink(side)
        case Action.LONG | Action.SHORT if not run_.spot and not run_.position_side:
            run_.close_opposite(side)
            run_.open_legs(side)
        case _:
            if instruction.close_same_side:
                run_.close_opposite(Side.SELL if side is Side.BUY else Side.BUY)
            if not run_.outcome.orders:
                run_.legs(side)


class _Run:
    """One trading instruction on one execution client."""

    def __init__(
        self,
        instruction: Instruction,
        client: ExecutionClient,
        risk_check: PreTradeRiskCheck,
        outcome: Outcome,
        symbol: Symbol,
        market_type: MarketType,
    ) -> None:
        self.instruction, self.client, self.risk_check, self.outcome = (
            instruction,
            client,
            risk_check,
            outcome,
        )
        self.symbol = symbol
        self.market_price = client.market_price(symbol)
        near = (
            self.market_price
            or instruction.price
            or next((leg.price or leg.stop_price for leg in instruction.legs), None)
        )
        self.instrument = client.instrument(symbol, market_type, near or instruction.stop_price)
        self.spot = market_type is MarketType.SPOT
        self.position_side = None if self.spot else instruction.position_side

    def _positions(self) -> list[Position]:
        """Returns the open positions: on futures of the signal's side or both, on spot the holdings."""
        return [each for each in self.client.positions(self.instrument, self.position_side) if each.quantity]

    def _opposite(self, side: Side) -> list[Position]:
        """Returns the positions that an order of this side reduces."""
        return [each for each in self._positions() if each.quantity * _direction(side) < 0]

    def holds_something(self) -> bool:
        """Returns whether there is a position to close."""
        return bool(self._positions())

    def close(self) -> None:
        """Closes positions by market orders, at most the instruction's size.

        Without a position side, closes every position of the instrument.
        """
        if self.spot and self.client.exits_hold:
            self._make_way(None)
        positions = self._positions()
        if not positions:
            raise NotDoable("no_position", symbol=self.instrument.name)
        held = sum((abs(each.quantity) for each in positions), _ZERO)
        side = Side.SELL if positions[0].quantity > 0 else Side.BUY
        first = self._legs()[0]
        if (
            not self._has_size()
            or self._requested_quantity(
                side, first, sizing.size_of_position(self.instrument, held, self._percent(first))
            )
            >= held
        ):
            self._leave(positions)
        else:
            self._reduce_legs(side, positions)

    def shrink(self, side: Side) -> None:
        """Reduces a position of this direction. Replaces an opposite position as `long` and `short` do."""
        other = Side.SELL if side is Side.BUY else Side.BUY
        if not self.spot and not self.position_side and self._opposite(side):
            self.close_opposite(side)
            self.open_legs(side)
        elif self.spot and other is Side.BUY:
            raise NotDoable("no_position", symbol=self.instrument.name)
        else:
            if self.spot and self.client.exits_hold:
                self._make_way(None)
            self._reduce_legs(other, self._opposite(other))

    def close_opposite(self, side: Side) -> None:
        """Closes positions opposite to this side and waits until the closing orders have ended."""
        if positions := self._opposite(side):
            self._leave(positions)

    def legs(self, side: Side) -> None:
        """Places orders of one side: reduces an opposite position at most to flat, else opens."""
        if self.spot and side is Side.SELL:
            if self.client.exits_hold:
                self._make_way(None if self._only_reduces() else self.instruction.quantity)
            self._reduce_legs(side, self._positions())
        elif self.position_side:
            positions = self._positions()  # refuses a position side on an account that keeps one position
            if (side is Side.BUY) is (self.position_side is PositionSide.LONG):
                self.open_legs(side)
            else:
                self._reduce_legs(side, positions)
        elif opposite := self._opposite(side):
            self._reduce_legs(side, opposite)
        else:
            self.open_legs(side)

    def _leave(self, positions: list[Position]) -> None:
        """Closes positions. On futures, cancels their exits afterwards, since they protect until then."""
        if self.spot:
            positions = [
                replace(each, quantity=self.client.sellable(self.instrument, each.quantity))
                for each in positions
            ]
            if not any(each.quantity for each in positions):
                raise self._too_small(None)
        found, refusal = leavings(positions, CLOSING_LEG), None
        try:
            self._run_leave(found, None)
        except Refused as refused:
            refusal = refused
        if not self.spot:
            standing = {_closing_side(each.position) for each in found if each.left}
            for side in {_closing_side(each) for each in positions} - standing:
                self._take_back_exits(side)
        if refusal:
            raise refusal
        self.client.look_again()

    def _run_leave(self, positions: list[Leaving], percent: Decimal | None) -> None:
        def place(name: str, request: OrderRequest) -> Order:
            return self._await_end(self._place(name, request, percent))

        Leave(self.client, self.instrument, place, self.market_price).run(positions)

    def _await_end(self, order: Order) -> Order:
        """Waits until a closing market order has ended."""
        ended = self.client.until_ended(order)
        self.outcome.orders[:] = [ended if each.leg == ended.leg else each for each in self.outcome.orders]
        return ended

    def _take_back_exits(self, side: Side = Side.SELL) -> None:
        """Cancels the exits of a position.

        The position is closed. On spot, it is about to be sold, which locked holdings would prevent.
        """
        for order in self._exits(side):
            self.client.cancel(order, "position_left")

    def _exits(self, side: Side = Side.SELL) -> list[Order]:
        """Returns the open exits of the symbol."""
        found = self.client.open_orders(None, self.instruction.symbol, self.instruction.market_type)
        return [order for order in found if order.exit_of is not None and order.side is side]

    def _make_way(self, wanted: Decimal | None) -> None:
        """Cancels the exits that lock holdings, unless the sale would be refused for its size.

        Args:
            wanted: Base units. None for a share of the holdings.
        """
        of_entry: dict[str, Decimal] = {}
        for order in self._exits():
            entry = f"{order.signal_id}.{order.exit_of}"
            of_entry[entry] = max(of_entry.get(entry, _ZERO), order.quantity - order.filled)
        if not of_entry:
            return
        owned = sum((each.quantity for each in self._positions()), _ZERO) + sum(of_entry.values(), _ZERO)
        if wanted is not None and wanted > owned:
            raise NotDoable(
                "insufficient_holdings",
                needed=text(wanted),
                available=text(owned),
                asset=self.instrument.base,
            )
        if not filters.round_quantity(self.instrument, owned if wanted is None else wanted):
            raise self._too_small(None)
        self._take_back_exits()
        self.client.look_again()

    def open_legs(self, side: Side) -> None:
        """Places orders that open or add, all sized from one balance request."""
        if self.instruction.reduce_only:
            if not self.outcome.orders:
                raise NotDoable("no_position", symbol=self.instrument.name)
            return
        if self.instruction.exits is not None:
            self._check_exits(self.instruction.exits)
        free = (
            None
            if self._has_fixed_size() and self.instruction.risk_percent is None
            else self.client.free(self.instrument)
        )
        for index, leg in enumerate(self._legs()):
            name = str(index)
            if self._attempt(name, partial(self._open, name, side, leg, free)):
                self.risk_check.opened()

    def _check_exits(self, plan: ExitPlan) -> None:
        """Checks that the account can hold these exits.

        Raises:
            NotDoable: `too_many_with_exits`, `exit_not_managed`, `too_many_exits`.
        """
        instruction, most = self.instruction, protective_orders.most_entries(plan)
        if len(self._legs()) > most:
            raise NotDoable("too_many_with_exits", count=len(self._legs()), limit=most)
        if self.client.manages_exits:
            return
        exchange, several = instruction.exchange, len(plan.take_profits) > 1
        if plan.moves:
            field = "trailing_stop" if plan.trailing_stop else "break_even_after"
            raise NotDoable("exit_not_managed", field=field, exchange=exchange)
        if several and not permits_several_take_profits(exchange):
            raise NotDoable("exit_not_managed", field="take_profits", exchange=exchange)
        limit = most_conditional_orders(exchange, self.instrument.market_type)
        count = plan.orders * len(self._legs())
        if several and limit is not None and count > limit:
            raise NotDoable("too_many_exits", symbol=self.instrument.name, limit=limit, count=count)

    def _open(self, name: str, side: Side, leg: Leg, free: Decimal | None) -> Order:
        return self._place(name, self._opening(side, leg, free), leg.percent)

    def _reduce_legs(self, side: Side, positions: list[Position]) -> None:
        """Places orders that reduce, in all at most the open position.

        A spot sale with its own quantity may ask for more and is then refused.
        """
        held = left = sum((abs(each.quantity) for each in positions), _ZERO)
        percent = _ZERO
        for index, leg in enumerate(self._legs()):
            before, percent = percent, percent + self._percent(leg)
            share = sizing.size_of_position(self.instrument, held, percent) - sizing.size_of_position(
                self.instrument, held, before
            )
            wanted = self._attempt(str(index), partial(self._reduction, side, leg, share, left))
            if not wanted:
                continue
            of = [Position(self.instrument.base, MarketType.SPOT, wanted)] if self.spot else positions
            found = leavings(of, str(index), wanted)
            if self._attempt(str(index), partial(self._reduce, side, leg, found)):
                left -= wanted
                positions = _remaining_positions(positions, wanted)

    def _reduce(self, side: Side, leg: Leg, positions: list[Leaving]) -> bool:
        """Reduces positions one after the other. Returns True when done."""
        if self.instruction.order_type is OrderType.MARKET:
            self._run_leave(positions, leg.percent)
            return True
        for each in positions:
            like = self._request(side, leg, each.left, reduce_only=not self.spot)
            self._place(
                each.leg,
                as_order(closing_order(each.position, self.instrument, each.left), like),
                leg.percent,
            )
        return True

    def _attempt(self, name: str, do: Callable[[], Result]) -> Result | None:
        try:
            return do()
        except Refused as refused:
            self.outcome.refused.append(
                RefusedLeg(leg=name, code=refused.code, values=refused.values, status=refused.status)
            )
            return None

    def _opening(self, side: Side, leg: Leg, free: Decimal | None) -> OrderRequest:
        self.risk_check.opening()
        instruction, price = self.instruction, self._sizing_price(leg, side)
        reference_price.check_deviation(instruction, self.market_price, self.client.price_source)
        # Checked before sizing: a stop-loss that passes has a distance above zero, by which a risk is
        # divided.
        order = protective_orders.with_exits(
            self._request(side, leg, _ZERO, reduce_only=False), instruction, price
        )
        traded = self.client.execution_price(order, price)
        protective_orders.with_exits(order, instruction, traded)
        if instruction.quantity is not None:
            quantity = self._within_target(side, instruction.quantity)
        elif instruction.quote_amount is not None:
            quantity = sizing.size_of_quote(self.instrument, instruction.quote_amount, price)
        elif instruction.position_percent is not None:
            quantity = sizing.size_of_position(
                self.instrument, self._position_size(), instruction.position_percent
            )
        else:
            assert free is not None
            percent = (leg.percent or sizing.HUNDRED) * instruction.weight / sizing.HUNDRED
            taking = instruction.order_type in (OrderType.MARKET, OrderType.STOP_MARKET)
            leverage = instruction.leverage
            price = price if taking else max(price, traded)
            quantity = sizing.size_of_free_balance(
                self.instrument, free, percent, price, self.client.rates, leverage, taking=taking
            )
        if instruction.risk_percent is not None and instruction.stop_loss is not None:
            assert free is not None
            stop = instruction.stop_loss.price_at(price, above=side is Side.SELL)
            risked = sizing.size_of_risk(self.instrument, free, instruction.risk_percent, price, stop)
            quantity = min(quantity, risked)
        sizing.check_value(quantity, price)
        order = replace(order, quantity=filters.round_quantity(self.instrument, quantity))
        protective_orders.check_shares(order, traded)
        self.risk_check.order(order, traded)
        return order

    def _reduction(self, side: Side, leg: Leg, share: Decimal, left: Decimal) -> Decimal:
        """Returns the quantity that a leg takes away, base units.

        A spot sale with its own quantity sells exactly that quantity or is refused. Another quantity would be
        a guess.

        Args:
            share: The leg's share of the position, base units. The shares of all legs add up to the total.
        """
        exact = self.spot and self.instruction.quantity is not None and not self._only_reduces()
        if not left and not exact:
            raise NotDoable("no_position", symbol=self.instrument.name)
        wanted = self._requested_quantity(side, leg, share)
        quantity = wanted if exact else min(wanted, left)
        if self.spot:
            rounded = filters.round_quantity(self.instrument, quantity)
            quantity = self.client.sellable(self.instrument, quantity) if quantity == left else rounded
        if not quantity:
            raise self._too_small(leg.price or leg.stop_price)
        return quantity

    def _requested_quantity(self, side: Side, leg: Leg, share: Decimal) -> Decimal:
        """Returns the quantity that a leg asks to take away, base units: `share` if sized by a percentage."""
        instruction = self.instruction
        if instruction.quantity is not None:
            return instruction.quantity
        if instruction.quote_amount is not None:
            return sizing.size_of_quote(
                self.instrument, instruction.quote_amount, self._sizing_price(leg, side)
            )
        return share

    def _percent(self, leg: Leg) -> Decimal:
        return self.instruction.position_percent or leg.percent or sizing.HUNDRED

    def _only_reduces(self) -> bool:
        """Returns whether the size is a maximum and not an exact quantity."""
        return self.instruction.shrinks or self.instruction.action is Action.CLOSE

    def _within_target(self, side: Side, quantity: Decimal) -> Decimal:
        """Returns `quantity`, at most what is missing to the target position size, base units.

        TradingView's `contracts` of a reversal add up the old and the new position.

        Raises:
            NotDoable: `target_reached`: nothing is missing.
        """
        target = self.instruction.target_size
        if target is None:
            return quantity
        counts = (
            not self.spot
            and not self.position_side
            and not any(order.leg == CLOSING_LEG for order in self.outcome.orders)
        )
        held = max(self._net() * _direction(side), _ZERO) if counts else _ZERO
        if held >= target:
            raise NotDoable("target_reached", symbol=self.instrument.name, size=text(target))
        return min(quantity, target - held)

    def _position_size(self) -> Decimal:
        held = sum((abs(each.quantity) for each in self._positions()), _ZERO)
        if not held:
            raise NotDoable("no_position", symbol=self.instrument.name)
        return held

    def _net(self) -> Decimal:
        return sum((each.quantity for each in self._positions()), _ZERO)

    def _request(self, side: Side, leg: Leg, quantity: Decimal, *, reduce_only: bool) -> OrderRequest:
        instruction, order_type = self.instruction, self.instruction.order_type
        limited = order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
        price = filters.round_price(self.instrument, leg.price, side) if limited and leg.price else None
        above = (
            None
            if leg.stop_price is None or self.market_price is None
            else leg.stop_price >= self.market_price
        )
        stop = leg.stop_price
        if stop is not None and above is not None:
            stop = filters.round_trigger(self.instrument, stop, trigger_above=above)
        return OrderRequest(
            client_order_id="",
            instrument=self.instrument,
            side=side,
            order_type=order_type,
            quantity=quantity if reduce_only else filters.round_quantity(self.instrument, quantity),
            price=price,
            stop_price=stop,
            trigger_above=above,
            reduce_only=reduce_only,
            post_only=instruction.post_only,
            time_in_force=instruction.time_in_force,
            leverage=None if self.spot else instruction.leverage,
            margin_mode=None if self.spot else instruction.margin_mode,
            hedged=self.position_side is not None,
        )

    def _too_small(self, price: Decimal | None) -> NotDoable:
        least = filters.least(self.instrument, price or self.market_price)
        return NotDoable("below_minimum", symbol=self.instrument.name, nearest=text(least))

    def _place(self, name: str, request: OrderRequest, percent: Decimal | None) -> Order:
        if not request.quantity:
            raise self._too_small(request.price or request.stop_price)
        if not request.reduce_only and not self._sells_all(request):
            filters.check(request, self.market_price)
        client_id = client_order_id(self.instruction.signal_id, self.instruction.account_id, name)
        order = self.client.place(name, replace(request, client_order_id=client_id), percent)
        self.outcome.orders.append(order)
        self.client.protect(order)
        return order

    def _sells_all(self, request: OrderRequest) -> bool:
        """Returns whether an order sells a rest below the step. Only a simulated account supports that."""
        return (
            self.spot and request.side is Side.SELL and bool(request.quantity % self.instrument.quantity_step)
        )

    def _legs(self) -> tuple[Leg, ...]:
        """Returns the requested legs, or one leg if settings or a quantity size the order."""
        instruction = self.instruction
        return instruction.legs or (Leg(price=instruction.price, stop_price=instruction.stop_price),)

    def _has_fixed_size(self) -> bool:
        instruction = self.instruction
        return any(
            size is not None
            for size in (instruction.quantity, instruction.quote_amount, instruction.position_percent)
        )

    def _has_size(self) -> bool:
        return self._has_fixed_size() or bool(self.instruction.legs)

    def _sizing_price(self, leg: Leg, side: Side) -> Decimal:
        """Returns the approximate execution price of an order, quote per base."""
        order_type = self.instruction.order_type
        limited = order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
        price = (
            leg.price
            if limited
            else leg.stop_price
            if order_type is OrderType.STOP_MARKET
            else self.market_price
        )
        if price is None:
            raise NotDoable("no_price", symbol=self.instrument.name)
        if (
            limited and side is Side.SELL
        ):  # A sell limit trades at its limit or better, so a low limit understates the order's value.
            better = self.client.current_price(self.symbol) if leg.stop_price is None else leg.stop_price
            price = max(price, better or price)
        elif limited and leg.stop_price is None and self.market_price is not None:
            price = min(
                price, self.market_price
            )  # Exchanges lock the limit price for a buy, and no market price is read in that case.
        return price


def _cancel(
    instruction: Instruction, client: ExecutionClient, outcome: Outcome, group_name: str | None
) -> None:
    """Cancels open orders and counts them."""
    for order in client.open_orders(group_name, instruction.symbol, instruction.market_type):
        if instruction.entries_only and _reduces(order):
            continue
        if instruction.order_id not in (None, order.order_id):
            continue
        if client.cancel(order, instruction.cancel_code):
            outcome.cancelled += 1
        else:
            outcome.not_cancelled += 1


def _reduces(order: Order) -> bool:
    """Returns whether an open order can only close or reduce."""
    return order.reduce_only or (order.market_type is MarketType.SPOT and order.side is Side.SELL)


def _direction(side: Side) -> int:
    return 1 if side is Side.BUY else -1


def _closing_side(position: Position) -> Side:
    return Side.BUY if position.quantity < 0 else Side.SELL


def _remaining_positions(positions: list[Position], quantity: Decimal) -> list[Position]:
    """Returns the positions minus `quantity` base units, taken from the first position on."""
    found = []
    for position in positions:
        taken = min(abs(position.quantity), quantity)
        quantity -= taken
        if taken < abs(position.quantity):
            found.append(
                replace(position, quantity=position.quantity + taken * _direction(_closing_side(position)))
            )
    return found
