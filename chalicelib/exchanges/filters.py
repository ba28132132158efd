"""An exchange's rules for quantities and prices, checked before an order is sent.

Quantities are base units, rounded toward zero. Prices are quote per base, rounded to the sender's advantage:
a buy limit is never raised, a sell limit never lowered.
"""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

from chalicelib.errors import NotDoable
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Side
from chalicelib.exchanges.wire import text
from chalicelib.trading import ExitLevel, OrderType

_AT_MARKET = (OrderType.MARKET, OrderType.STOP_MARKET)


def round_quantity(instrument: Instrument, quantity: Decimal) -> Decimal:
    """Returns the largest multiple of the quantity step that is not above `quantity`, base units."""
    return _to_multiple(quantity, instrument.quantity_step, ROUND_DOWN)


def round_price(instrument: Instrument, price: Decimal, side: Side) -> Decimal:
    """Returns the nearest price on the tick that is not worse for this side than `price`."""
    return _to_multiple(price, instrument.price_tick, ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)


def round_trigger(instrument: Instrument, stop_price: Decimal, *, trigger_above: bool) -> Decimal:
    """Returns the first price on the tick that a market moving that way reaches at or after `stop_price`.

    A stop never triggers early.
    """
    return _to_multiple(stop_price, instrument.price_tick, ROUND_CEILING if trigger_above else ROUND_FLOOR)


def round_stop(instrument: Instrument, stop_price: Decimal, *, trigger_above: bool) -> Decimal:
    """Returns the nearest price on the tick at which a stop-loss loses no more than at `stop_price`."""
    return _to_multiple(stop_price, instrument.price_tick, ROUND_FLOOR if trigger_above else ROUND_CEILING)


def stop_loss_price(
    instrument: Instrument, level: ExitLevel, entry: Decimal | None, *, trigger_above: bool
) -> Decimal:
    """Returns the price of a stop-loss on the tick, at least a tick away from the entry.

    Args:
        entry: The price that the level is measured from. None if unknown, which only a price permits.
    """
    price = round_stop(
        instrument, level.price_at(entry or Decimal(0), above=trigger_above), trigger_above=trigger_above
    )
    if level.price is None and entry is not None:
        away = entry + instrument.price_tick * (1 if trigger_above else -1)
        nearest = round_trigger(instrument, away, trigger_above=trigger_above)
        price = max(price, nearest) if trigger_above else min(price, nearest)
    return max(price, instrument.price_tick)


def check(order: OrderRequest, reference_price: Decimal | None = None) -> None:
    """Checks an order against the rules of its instrument.

    Args:
        reference_price: Approximate execution price of a market order, quote per base. None leaves a market
            order's value to the exchange.

    Raises:
        NotDoable: The rule is the code. The values contain the limit and the nearest permitted value.
    """
    instrument = order.instrument
    worth = None if order.reduce_only else order.price or order.stop_price or reference_price
    check_quantity(instrument, order.quantity, worth)
    if order.order_type in _AT_MARKET:
        _check_maximum(
            instrument, order.quantity, largest_at_market(instrument, order.stop_price or reference_price)
        )
    for name, price in (("price", order.price), ("stop_price", order.stop_price)):
        if price is not None:
            _check_price(instrument, name, price, order.side)
    if worth is not None:
        check_notional(instrument, order.quantity, worth)


def check_quantity(instrument: Instrument, quantity: Decimal, price: Decimal | None = None) -> None:
    """Checks step, minimum and maximum of a quantity, base units. Raises NotDoable as `check` does.

    With a price, the nearest permitted value also meets the minimum notional.
    """
    name, step = instrument.name, instrument.quantity_step
    minimum = instrument.minimum_quantity or step
    if quantity < minimum:
        nearest = least(instrument, price)
        raise NotDoable(
            "below_minimum_quantity",
            symbol=name,
            quantity=text(quantity),
            minimum=text(minimum),
            nearest=text(nearest),
        )
    _check_maximum(instrument, quantity, instrument.maximum_quantity)
    if quantity % step:
        nearest = max(round_quantity(instrument, quantity), minimum)
        raise NotDoable(
            "quantity_off_step", symbol=name, quantity=text(quantity), step=text(step), nearest=text(nearest)
        )


def check_notional(instrument: Instrument, quantity: Decimal, price: Decimal) -> None:
    """Checks the minimum notional, quote units. `nearest` is the smallest quantity that meets it.

    Raises NotDoable.
    """
    minimum = instrument.minimum_notional
    if minimum is None or quantity * price >= minimum:
        return
    nearest = least(instrument, price)
    raise NotDoable(
        "below_minimum_notional",
        symbol=instrument.name,
        notional=text(quantity * price),
        minimum=text(minimum),
        nearest=text(nearest),
    )


def least(instrument: Instrument, price: Decimal | None) -> Decimal:
    """Returns the smallest permitted quantity at this price, base units.

    If no price is known, the minimum notional does not count.
    """
    quantity = instrument.minimum_quantity or instrument.quantity_step
    if (
        instrument.minimum_notional is None
        or price is None
        or quantity * price >= instrument.minimum_notional
    ):
        return quantity
    return _to_multiple(instrument.minimum_notional / price, instrument.quantity_step, ROUND_CEILING)


def largest_at_market(instrument: Instrument, price: Decimal | None) -> Decimal | None:
    """Returns the largest market order, base units on the step. None if there is no maximum.

    Args:
        price: Quote per base, for exchanges that limit the order's value. None ignores that limit.
    """
    found = [
        each for each in (instrument.maximum_quantity, instrument.maximum_market_quantity) if each is not None
    ]
    if instrument.maximum_market_value is not None and price:
        found.append(instrument.maximum_market_value / price)
    return round_quantity(instrument, min(found)) if found else None


def _check_maximum(instrument: Instrument, quantity: Decimal, maximum: Decimal | None) -> None:
    if maximum is not None and quantity > maximum:
        values = {"quantity": text(quantity), "maximum": text(maximum), "nearest": text(maximum)}
        raise NotDoable("above_maximum_quantity", symbol=instrument.name, **values)


def _check_price(instrument: Instrument, field: str, price: Decimal, side: Side) -> None:
    tick = instrument.price_tick
    if price <= 0 or price % tick:
        nearest = max(round_price(instrument, price, side), tick)
        raise NotDoable(
            "price_off_tick",
            symbol=instrument.name,
            field=field,
            price=text(price),
            tick=text(tick),
            nearest=text(nearest),
        )


def _to_multiple(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (value / step).to_integral_value(rounding=rounding) * step
