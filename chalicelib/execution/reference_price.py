"""The reference price of an order: for sizing, minimums, risk rules, exit checks and the dry run.

- An exchange account uses the exchange's price.
- A simulated account uses the live price, else the signal's own price, else the last known price.

If a market price is known, the signal's `price` only refuses an order that is too far from it.
"""

from decimal import Decimal
from enum import StrEnum

from chalicelib.errors import NotDoable
from chalicelib.exchanges.protocol import OrderRequest
from chalicelib.execution.sizing import HUNDRED
from chalicelib.orders.models import Instruction
from chalicelib.trading import OrderType


class PriceSource(StrEnum):
    """Source of a reference price.

    `last_seen` is the last known price, which a dry run of an exchange account uses.
    """

    EXCHANGE = "exchange"
    LIVE = "live"
    SIGNAL = "signal"
    LAST_SEEN = "last_seen"


def of_simulated(
    instruction: Instruction, live: Decimal | None, last_seen: Decimal | None
) -> tuple[Decimal, PriceSource] | tuple[None, None]:
    """Returns a simulated account's reference price, quote per base, and its source.

    Both are None if no price is known.
    """
    candidates = (
        (live, PriceSource.LIVE),
        (instruction.market_price, PriceSource.SIGNAL),
        (last_seen, PriceSource.LAST_SEEN),
    )
    return next(((price, source) for price, source in candidates if price), (None, None))


def check_deviation(instruction: Instruction, market: Decimal | None, source: PriceSource | None) -> None:
    """Checks the signal's price of a market order against the market price.

    A large distance reveals a price of another instrument, unit or time. Limit and stop prices are not
    checked: they are away from the market by intention.

    Args:
        market: The reference price, quote per base. None if unknown, then nothing is checked.

    Raises:
        NotDoable: `price_away`.
    """
    limit, given = instruction.max_price_deviation_percent, instruction.market_price
    if (
        instruction.order_type is not OrderType.MARKET
        or given is None
        or market is None
        or source is PriceSource.SIGNAL
        or not limit
    ):
        return
    if abs(given - market) * HUNDRED > market * limit:
        symbol = instruction.symbol.name if instruction.symbol else ""
        raise NotDoable(
            "price_away",
            symbol=symbol,
            price=f"{given:f}",
            market=f"{market:f}",
            limit=f"{limit.normalize():f}",
        )


def wanted_price(
    order: OrderRequest, instruction: Instruction | None, market: Decimal | None
) -> Decimal | None:
    """Returns the price at which a signal wants an order to trade, quote per base. None if it is unknown.

    Args:
        instruction: None for a take-profit or stop-loss, which has a price of its own.
        market: The market price that sizes the order.
    """
    given = instruction.market_price if instruction else None
    return order.price or order.stop_price or given or market
