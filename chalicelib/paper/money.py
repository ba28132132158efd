"""Arithmetic of paper fills, as the paper webhook reports them. Decimal, rounded half to even."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from chalicelib.accounts.rates import Rates

BASIS_POINT = Decimal("0.0001")
_CURRENCY_PLACES = {"BTC": 8, "ETH": 8, "BNB": 8, "JPY": 0, "KRW": 0}
"""Decimal places of currencies that are not counted in cents."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One simulated fill. Amounts are quote units.

    Attributes:
        total: Cost of a buy (value + commission), or proceeds of a sale (value - commission).
    """

    price: Decimal
    quantity: Decimal
    value: Decimal
    slippage: Decimal
    commission: Decimal
    total: Decimal


def fill(
    *, buying: bool, price: Decimal, quantity: Decimal, rates: Rates, tick: Decimal, currency: str
) -> Fill:
    """Returns the fill of an order that takes liquidity at `price`.

    Args:
        price: The market price, quote per base.
        quantity: Base units that fill.
        tick: Tick size, quote per base.
        currency: The quote currency. Its decimal places round the amounts.
    """
    direction = 1 if buying else -1
    moved = price * (1 + direction * rates.slippage_bps * BASIS_POINT)
    executed = round_price(moved, tick, buying=buying)
    value = round_money(executed * quantity, currency)
    commission = round_money(value * rates.commission_bps * BASIS_POINT, currency)
    return Fill(
        price=executed,
        quantity=quantity,
        value=value,
        slippage=abs(executed - price),
        commission=commission,
        total=value + commission if buying else value - commission,
    )


def round_price(price: Decimal, tick: Decimal, *, buying: bool = True) -> Decimal:
    """Returns the multiple of `tick` nearest to `price`, half to even. Never zero for a buy.

    A sale at zero has no proceeds and is refused.
    """
    rounded = (price / tick).quantize(Decimal(1), ROUND_HALF_EVEN) * tick
    return max(rounded, tick) if buying else rounded


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Returns an amount rounded to its currency's decimal places, two by default."""
    return amount.quantize(Decimal(1).scaleb(-places(currency)), ROUND_HALF_EVEN)


def places(currency: str) -> int:
    """Returns the decimal places of a currency."""
    return _CURRENCY_PLACES.get(currency, 2)
