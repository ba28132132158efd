"""The rules of instruments whose exchange has not told its own: what the paper exchange trades by."""

from decimal import Decimal

from chalicelib.exchanges.protocol import Instrument
from chalicelib.trading import MarketType, Symbol

_CENT = Decimal("0.01")
_FINEST = Decimal("1E-18")
_SHARE_STEP = Decimal("0.0001")
_DOLLARS = {"BTC": 5, "ETH": 3, "BNB": 2, "JPY": -2, "KRW": -3}
"""About what a unit of a quote is worth in dollars, as a power of ten; others are about a dollar."""


def assumed_instrument(symbol: Symbol, market_type: MarketType, price: Decimal, currency: str) -> Instrument:
    """An instrument with a tick and a step such as exchanges have for prices of this size.

    Shares tick in cents and divide to a ten-thousandth. Crypto has five significant digits of price, at most
    a cent, and steps worth about a tenth of a dollar.

    Args:
        price: Quote per base, to tell the size.
        currency: What shares are quoted in.
    """
    if symbol.quote is None:
        return Instrument(symbol.name, symbol.base, currency, market_type, _CENT, _SHARE_STEP)
    tick = max(min(_CENT, Decimal(1).scaleb(price.adjusted() - 4)), _FINEST)
    worth = price.adjusted() + _DOLLARS.get(symbol.quote, 0)
    step = max(min(Decimal(1), Decimal(1).scaleb(-worth - 2)), _FINEST)
    return Instrument(symbol.name, symbol.base, symbol.quote, market_type, tick, step)
