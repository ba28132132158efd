"""Assumed instrument rules, used by the paper exchange when an exchange's own rules are unknown."""

from decimal import Decimal

from chalicelib.exchanges.protocol import Instrument
from chalicelib.trading import MarketType, Symbol

_CENT = Decimal("0.01")
_FINEST = Decimal("1E-18")
_SHARE_STEP = Decimal("0.0001")
_DOLLARS = {"BTC": 5, "ETH": 3, "BNB": 2, "JPY": -2, "KRW": -3}
"""Approximate value of a quote unit in dollars, as a power of ten. Other currencies count as one dollar."""


def assumed_instrument(symbol: Symbol, market_type: MarketType, price: Decimal, currency: str) -> Instrument:
    """Returns an instrument with the tick and step that exchanges usually have for prices of this size.

    Stocks tick in cents and divide into ten-thousandths. Crypto has five significant digits of price, a tick
    of at most a cent, and a step worth about ten cents.

    Args:
        price: Quote per base. Gives the size.
        currency: Quote currency of stocks.
    """
    if symbol.quote is None:
        return Instrument(symbol.name, symbol.base, currency, market_type, _CENT, _SHARE_STEP)
    tick = max(min(_CENT, Decimal(1).scaleb(price.adjusted() - 4)), _FINEST)
    worth = price.adjusted() + _DOLLARS.get(symbol.quote, 0)
    step = max(min(Decimal(1), Decimal(1).scaleb(-worth - 2)), _FINEST)
    return Instrument(symbol.name, symbol.base, symbol.quote, market_type, tick, step)
