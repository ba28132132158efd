"""The arithmetic of paper fills, as the paper seed prints it. Decimal throughout, rounded half to even."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from chalicelib.accounts.rates import Rates

BASIS_POINT = Decimal("0.0001")
_CURRENCY_PLACES = {"BTC": 8, "ETH": 8, "BNB": 8, "JPY": 0, "KRW": 0}
"""Decimal places of currencies that are not counted in cents."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One simulated fill. Money is quote currency.

    Attributes:
        total: What a buy costs (value + commission), or what a sale brings in (value - commission).
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
    """What taking liquidity at `price` gives.

    Args:
        price: The market price, quote per base.
        quantity: Base units that fill.
        tick: Prices are multiples of this.
        currency: The quote currency; its places round the money.
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
    """The multiple of `tick` next to `price`, half to even; never zero for a buy.

    A sale at zero brings in nothing, and is refused.
    """
    rounded = (price / tick).quantize(Decimal(1), ROUND_HALF_EVEN) * tick
    return max(rounded, tick) if buying else rounded


def round_money(amount: Decimal, currency: str) -> Decimal:
    """An amount in its currency's places: 2, or the currency's own."""
    return amount.quantize(Decimal(1).scaleb(-places(currency)), ROUND_HALF_EVEN)


def places(currency: str) -> int:
    """Decimal places of a currency."""
    return _CURRENCY_PLACES.get(currency, 2)
