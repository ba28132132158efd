"""Costs of an account's simulated trades."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Rates:
    """Costs of simulated trades.

    Attributes:
        slippage_bps: By how much the price is worse for the taker, in basis points.
        commission_bps: Commission in basis points of the value.
        fill_rate: The share of the quantity that fills, 0 to 1.
    """

    slippage_bps: Decimal = Decimal(5)
    commission_bps: Decimal = Decimal(10)
    fill_rate: Decimal = Decimal(1)
