"""Order sizes in base units, from a quote amount, a share of the balance or a share of a position.

Pure functions.
"""

from decimal import ROUND_DOWN, Decimal

from chalicelib.accounts.rates import Rates
from chalicelib.errors import Refused
from chalicelib.exchanges.filters import round_quantity
from chalicelib.exchanges.protocol import Instrument
from chalicelib.paper.money import BASIS_POINT
from chalicelib.trading import MarketType

HUNDRED = Decimal(100)
MOST_VALUE = Decimal("1e18")
"""Largest value of an order, quote units.

A larger value is a mistake, and the database would round such numbers.
"""

_HALF_A_CENT = Decimal("0.005")


def out_of_range() -> Refused:
    """Returns the refusal of an order whose value exceeds the bound or cannot be computed."""
    return Refused("out_of_range", field="quantity × price", minimum="0", maximum=f"{MOST_VALUE:e}")


def check_value(quantity: Decimal, price: Decimal) -> None:
    """Raises Refused (`out_of_range`) if base units times quote per base exceeds `MOST_VALUE`."""
    if quantity * price > MOST_VALUE:
        raise out_of_range()


def size_of_quote(instrument: Instrument, amount: Decimal, price: Decimal) -> Decimal:
    """Returns the quantity worth `amount` quote units, base units rounded toward zero."""
    return round_quantity(instrument, amount / price)


def size_of_free_balance(
    instrument: Instrument,
    free: Decimal,
    percent: Decimal,
    price: Decimal,
    rates: Rates,
    leverage: int,
    *,
    taking: bool,
) -> Decimal:
    """Returns the quantity that a share of the free quote balance buys, costs included, base units.

    On futures the balance counts times the leverage.

    Args:
        free: Free balance, quote units.
        percent: Share of the balance, percent.
        price: Execution price before slippage, quote per base.
        taking: Whether the order trades at once, so that slippage counts.
    """
    budget = max(free, Decimal(0)) * percent / HUNDRED
    traded = price * (1 + rates.slippage_bps * BASIS_POINT) if taking else price
    traded = max(traded, (traded / instrument.price_tick).to_integral_value() * instrument.price_tick)
    margin = Decimal(1) / leverage if instrument.market_type is MarketType.FUTURES else Decimal(1)
    cost = traded * (margin + rates.commission_bps * BASIS_POINT)
    quantity = round_quantity(instrument, budget / cost)
    # The commission is rounded to the cent, which can cost half a cent more than the formula says.
    slack = _HALF_A_CENT if rates.commission_bps else Decimal(0)
    while quantity > 0 and quantity * cost + slack > budget:
        quantity -= instrument.quantity_step
    return max(quantity, Decimal(0))


def size_of_risk(
    instrument: Instrument, free: Decimal, percent: Decimal, price: Decimal, stop_loss: Decimal
) -> Decimal:
    """Returns the quantity whose loss at the stop equals `percent` of the free balance, base units.

    Fees and slippage are not included.
    """
    return round_quantity(instrument, max(free, Decimal(0)) * percent / HUNDRED / abs(price - stop_loss))


def size_of_position(instrument: Instrument, held: Decimal, percent: Decimal) -> Decimal:
    """Returns a share of a position or holding, base units. 100 percent includes dust."""
    held = abs(held)
    return (
        held
        if percent >= HUNDRED
        else round_quantity(instrument, (held * percent / HUNDRED).quantize(Decimal("1E-18"), ROUND_DOWN))
    )
