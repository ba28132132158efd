"""How much: from an amount of quote currency, a share of the balance or of what is held, to base units.

Pure.
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
"""Quote units that an order may be worth at most.

Beyond that lies a mistake, and numbers that a store would round.
"""

_HALF_A_CENT = Decimal("0.005")


def out_of_range() -> Refused:
    """The refusal of an order whose value is beyond the bound, or cannot be computed."""
    return Refused("out_of_range", field="quantity × price", minimum="0", maximum=f"{MOST_VALUE:e}")


def check_value(quantity: Decimal, price: Decimal) -> None:
    """Raises Refused (`out_of_range`) if base units times quote per base is more than any order may be worth."""
    if quantity * price > MOST_VALUE:
        raise out_of_range()


def size_of_quote(instrument: Instrument, amount: Decimal, price: Decimal) -> Decimal:
    """So much of the base as `amount` quote units are worth, rounded toward zero."""
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
    """What a share of the free quote balance buys, its costs included; on futures times leverage.

    Args:
        free: Quote units.
        price: What it will trade at, before slippage, quote per base.
        taking: The order trades at once, so slippage counts.
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
    """So much that leaving it at the stop-loss costs a share of the free quote balance, fees and slippage aside."""
    return round_quantity(instrument, max(free, Decimal(0)) * percent / HUNDRED / abs(price - stop_loss))


def size_of_position(instrument: Instrument, held: Decimal, percent: Decimal) -> Decimal:
    """A share of what is held; all of it is all of it, dust included."""
    held = abs(held)
    return (
        held
        if percent >= HUNDRED
        else round_quantity(instrument, (held * percent / HUNDRED).quantize(Decimal("1E-18"), ROUND_DOWN))
    )
