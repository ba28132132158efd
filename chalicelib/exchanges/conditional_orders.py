"""How many conditional orders an exchange keeps for one account and symbol.

Sources: Binance spot, "Filters": MAX_NUM_ALGO_ORDERS, which counts both orders of an OCO of two conditional
orders. Bybit, "Place Order": 10 conditional orders a symbol on perpetuals, 30 on spot.
"""

from chalicelib.exchanges.dialects.families import family
from chalicelib.trading import MarketType

_MOST = {
    ("binance", MarketType.SPOT): 5,
    ("bybit", MarketType.FUTURES): 10,
    ("bybit", MarketType.SPOT): 30,
}

_NO_PAIRS = frozenset(
    {"binanceus"}
)  # a stop-loss locks its holdings, and no list of two market orders exists


def permits_several_take_profits(exchange: str) -> bool:
    """Returns whether each share of a position can wait with a stop-loss and a take-profit of its own.

    Known of Binance, Bybit and OKX. Of other exchanges it is not.
    """
    return family(exchange) in {"binance", "bybit", "okx"} and exchange not in _NO_PAIRS


def most_conditional_orders(exchange: str, market_type: MarketType) -> int | None:
    """Returns the documented number for a symbol. None if it is larger than any signal needs."""
    return _MOST.get((family(exchange), market_type))
