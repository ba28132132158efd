"""Protective orders of an entry: separate orders, placed after a fill.

Each take-profit closes its share of the position and has a stop-loss of its own for the same quantity: one
cancels the other. What no take-profit closes has a stop-loss only. So the stop-losses together shrink as
take-profits fill, and exits together never exceed the position.

All are conditional market orders, reduce-only on futures. The filled quantity is protected at once. Later
fills are protected in a further round, measured from the average fill price of that moment.

A stop-loss is rounded toward the entry, so that it never loses more than asked for, but stays a tick away.
A take-profit is rounded away from it, so that it never triggers early.
"""

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from chalicelib.errors import NotDoable, Refused
from chalicelib.exchanges import filters
from chalicelib.exchanges.client_ids import client_order_id
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Position, Side, StopMoves
from chalicelib.exchanges.wire import text
from chalicelib.execution import closing
from chalicelib.orders.legs import part_of, share_suffix
from chalicelib.orders.models import Instruction, Order
from chalicelib.trading import (
    BreakEven,
    ExitLevel,
    ExitPlan,
    MarketType,
    OrderType,
    PositionSide,
    TrailingStop,
)

ROUNDS = 10
"""Attempts to place the exits of one order, one minute apart, before the user is notified of the failure."""

_MOST_ORDERS = 24
"""Largest number of orders that a batch of entries and their exits makes.

On a paper account the batch is one transaction of at most 100 writes, and an order takes up to three.
"""

_FURTHEST = Decimal("0.8")
"""Largest distance of a stop-loss from the entry, as a share of the entry price.

A stop farther away is most likely a percentage or a distance sent as a price.
"""

# spot exchanges take up to 0.2 % of the bought quantity as fee, and some report it only later
_FEE_MARGIN = Decimal("0.998")
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the position, with where it is left. Prices are quote per base.

    Attributes:
        number: The take-profit's place in the plan, from 0.
        quantity: Base units.
        stop_loss, take_profit: None for none.
    """

    number: int
    quantity: Decimal
    stop_loss: Decimal | None
    take_profit: Decimal | None


def most_entries(plan: ExitPlan) -> int:
    """Returns the largest number of entries with these exits in one batch."""
    return _MOST_ORDERS // (1 + plan.orders)


def check_distance(stop_loss: ExitLevel | None, entry: Decimal | None) -> None:
    """Raises Refused (`stop_too_far`) if a stop-loss is more than 80 % away from the entry.

    An entry price of None is unknown and passes.
    """
    if stop_loss is None or entry is None:
        return
    price = stop_loss.price_at(entry, above=False)
    if abs(price - entry) > entry * _FURTHEST:
        raise Refused("stop_too_far", field="stop_loss", price=text(price), entry=text(entry))


def with_exits(order: OrderRequest, instruction: Instruction, price: Decimal) -> OrderRequest:
    """Returns an opening order with the signal's exits.

    Args:
        price: Approximate execution price, quote per base.

    Raises:
        NotDoable: `exit_on_wrong_side`: the stop-loss would trigger at once, or a take-profit at a loss.
        Refused: `stop_too_far`.
    """
    plan = instruction.exits
    if plan is None:
        return order
    check_distance(plan.stop_loss, price)
    fields = {"stop_loss": plan.stop_loss}
    if instruction.take_profits:
        fields |= {f"take_profits[{number}]": each for number, each in enumerate(plan.take_profits)}
    else:
        fields["take_profit"] = instruction.take_profit
    for field, level in fields.items():
        if level is not None:
            _check_side(order, field, level, price, above=(field != "stop_loss") is (order.side is Side.BUY))
    return replace(order, exits=plan)


def _check_side(order: OrderRequest, field: str, level: ExitLevel, entry: Decimal, *, above: bool) -> None:
    wanted = level.price_at(entry, above=above)
    round_level = filters.round_stop if field == "stop_loss" else filters.round_trigger
    price = round_level(order.instrument, wanted, trigger_above=above)
    if price <= 0 or price == entry or (price > entry) is not above:
        values = {"field": field, "price": text(wanted), "entry": text(entry)}
        raise NotDoable("exit_on_wrong_side", symbol=order.instrument.name, **values)


def shares(
    plan: ExitPlan, instrument: Instrument, side: Side, quantity: Decimal, entry: Decimal | None
) -> list[Share]:
    """Returns how a filled quantity is left. The shares add up to `quantity`, which is on the step.

    A share below the instrument's minimum joins the share behind it, the last one the share before it.

    Args:
        side: Of the entry.
        entry: The average fill price, quote per base. None if unknown: only prices count then.
    """
    long = side is Side.BUY
    stop = _first_stop(plan, instrument, entry, long=long)
    found: list[Share] = []
    percent = closed = Decimal(0)
    for number, take_profit in enumerate(plan.take_profits):
        percent += take_profit.share
        upto = (
            quantity
            if percent >= _HUNDRED
            else filters.round_quantity(instrument, quantity * percent / _HUNDRED)
        )
        price = _take_profit_price(instrument, take_profit, entry, above=long)
        found.append(Share(number, upto - closed, stop, price))
        closed = upto
    found.append(Share(len(plan.take_profits), quantity - closed, stop, None))
    return _merged(found, instrument, entry)


def check_shares(order: OrderRequest, entry: Decimal) -> None:
    """Raises NotDoable (`below_minimum`) if every take-profit of an order would be lost for its size.

    Args:
        entry: Approximate execution price, quote per base.
    """
    plan = order.exits
    if plan is None or not plan.take_profits or not order.quantity:
        return
    found = shares(plan, order.instrument, order.side, order.quantity, entry)
    if any(share.take_profit is not None for share in found):
        return
    largest = max(each.share for each in plan.take_profits)
    step = order.instrument.quantity_step
    steps = _least(found[0], order.instrument, entry) * _HUNDRED / largest / step
    nearest = steps.to_integral_value(ROUND_CEILING) * step
    raise NotDoable("below_minimum", symbol=order.instrument.name, nearest=text(nearest))


def _merged(found: list[Share], instrument: Instrument, entry: Decimal | None) -> list[Share]:
    kept: list[Share] = []
    carried = Decimal(0)
    for share in found:
        quantity = share.quantity + carried if share.quantity else share.quantity
        if quantity and quantity < _least(share, instrument, entry):
            carried = quantity
        elif quantity:
            kept.append(replace(share, quantity=quantity))
            carried = Decimal(0)
    if carried and kept:
        kept[-1] = replace(kept[-1], quantity=kept[-1].quantity + carried)
    elif carried:
        last = next(share for share in reversed(found) if share.quantity)
        kept = [replace(last, quantity=carried)]
    return kept


def _least(share: Share, instrument: Instrument, entry: Decimal | None) -> Decimal:
    """Returns the smallest permitted quantity of a share. A reduce-only order has no minimum notional."""
    lowest = min((each for each in (share.stop_loss, share.take_profit, entry) if each), default=None)
    return filters.least(instrument, lowest if instrument.market_type is MarketType.SPOT else None)


def _first_stop(
    plan: ExitPlan, instrument: Instrument, entry: Decimal | None, *, long: bool
) -> Decimal | None:
    """Returns where the stop stands after the fill: stop-loss or trailing stop, whichever loses less."""
    levels: list[ExitLevel] = [] if plan.stop_loss is None else [plan.stop_loss]
    if plan.trailing_stop is not None and plan.trailing_stop.activation is None:
        levels.append(plan.trailing_stop.level)
    found = [
        filters.stop_loss_price(instrument, level, entry, trigger_above=not long)
        for level in levels
        if entry is not None or level.price is not None
    ]
    return (max if long else min)(found, default=None)


def _take_profit_price(
    instrument: Instrument, level: ExitLevel, entry: Decimal | None, *, above: bool
) -> Decimal | None:
    if entry is None and level.price is None:
        return None
    wanted = level.price_at(entry or Decimal(0), above=above)
    return max(filters.round_trigger(instrument, wanted, trigger_above=above), instrument.price_tick)


def exit_orders(
    entry: Order, instrument: Instrument, market_price: Decimal | None
) -> dict[str, OrderRequest]:
    """Returns the exits of an entry's unprotected quantity, by leg, share by share, the stop-loss first.

    An exit larger than the exchange permits is split into parts.

    Args:
        market_price: Quote per base. None if unknown. If the market price has reached an exit, only that exit
            of the share is returned, as a market order: a conditional order would be refused, or would wait
            for the price to return.
    """
    assert entry.exits is not None
    size = entry.unprotected
    if instrument.market_type is MarketType.SPOT and entry.fee is None:
        size *= _FEE_MARGIN
    quantity = filters.round_quantity(instrument, size)
    average = entry.average_price or entry.price or entry.stop_price
    made: dict[str, OrderRequest] = {}
    for share in shares(entry.exits, instrument, entry.side, quantity, average):
        made |= _exits_of_share(entry, instrument, share, market_price)
    # A take-profit at market counts for the stops of the other shares, so they come first.
    return dict(sorted(made.items(), key=lambda each: each[1].order_type is OrderType.MARKET))


def expected_exits(entry: Order, instrument: Instrument, price: Decimal) -> list[dict[str, Any]]:
    """Returns the exits that an entry would get at a price, for the dry run.

    Args:
        price: Of the entry, quote per base. An average fill price, or the price that is expected.
    """
    plan, found = entry.exits or ExitPlan(), []
    for share in shares(plan, instrument, entry.side, entry.quantity, price):
        for kind, stop in (("stop_loss", share.stop_loss), ("take_profit", share.take_profit)):
            if stop is not None:
                take_profits = plan.take_profits[share.number : share.number + 1]
                level = plan.stop_loss if kind == "stop_loss" else take_profits[0]
                measured = level is None or level.price is None
                found.append(
                    {
                        "kind": kind,
                        "quantity": share.quantity,
                        "stop_price": stop,
                        "measured_from": "average_fill" if measured else None,
                    }
                )
    return found


def _exits_of_share(
    entry: Order, instrument: Instrument, share: Share, market_price: Decimal | None
) -> dict[str, OrderRequest]:
    prices = (market_price, share.stop_loss, share.take_profit)
    highest = max((price for price in prices if price is not None), default=None)
    sizes = closing.parts(instrument, share.quantity, highest)
    again = f"{share_suffix(share.number)}{entry.exit_round or ''}"
    made: dict[str, OrderRequest] = {}
    for name, stop in (("sl", share.stop_loss), ("tp", share.take_profit)):
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
                exit_group=f"{entry.client_order_id}{entry.exit_round or ''}",
                moves=_moves(entry) if name == "sl" and not passed else None,
            )
        if passed:
            return of_stop
        made |= of_stop
    return made


def _moves(entry: Order) -> StopMoves | None:
    """Returns how the stop-loss of an entry moves. None if it stays where it is."""
    plan, average = entry.exits, entry.average_price
    if plan is None or average is None or not plan.moves:
        return None
    long = entry.side is Side.BUY
    trailing = plan.trailing_stop or TrailingStop()
    break_even = plan.break_even_after or BreakEven()
    start = trailing.activation
    return StopMoves(
        entry_price=average,
        trailing_percent=trailing.percent,
        trailing_distance=trailing.distance,
        activation=None if start is None else start.price_at(average, above=long),
        break_even_price=None
        if break_even.percent is None
        else ExitLevel(percent=break_even.percent).price_at(average, above=long),
        take_profits_left=break_even.take_profits,
    )


def _position(entry: Order, instrument: Instrument) -> Position:
    """Returns the position that an entry has opened or added to."""
    long = entry.side is Side.BUY
    side = (PositionSide.LONG if long else PositionSide.SHORT) if entry.hedged else None
    quantity = entry.received if long else -entry.received
    return Position(
        entry.symbol, instrument.market_type, quantity, position_side=side, margin_mode=entry.margin_mode
    )
