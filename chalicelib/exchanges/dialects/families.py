"""Regional sites of exchanges, by ccxt's names: own accounts and addresses, the family's interface."""

from collections.abc import Mapping

_FAMILIES: Mapping[str, str] = {"binanceus": "binance", "bybiteu": "bybit", "myokx": "okx", "okxus": "okx"}

SPOT_ONLY = frozenset({"binanceus", "bybiteu"})
"""Sites without futures."""


def family(exchange: str) -> str:
    """Returns the exchange whose interface a site has.

    An exchange without regional sites is its own family.
    """
    return _FAMILIES.get(exchange, exchange)
