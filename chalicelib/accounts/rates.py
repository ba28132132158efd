"""What simulated trades of an account cost."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Rates:
    """What an account's simulated trades cost.

    Attributes:
        slippage_bps: The price moves so many basis points against the taker.
        commission_bps: Basis points of the value.
        fill_rate: The share of the quantity that fills, 0 to 1.
    """

    slippage_bps: Decimal = Decimal(5)
    commission_bps: Decimal = Decimal(10)
    fill_rate: Decimal = Decimal(1)
