"""Refusals of a market order as too large, by the exchange's code and part of its message.

Listed maxima change between two refreshes of the metadata, so an order within the stored maximum may be
refused.
"""

from chalicelib.errors import Refused

_TOO_LARGE = {
    # Binance spot, "Filters": one code for all of them. USDⓈ-M futures, "Error Codes":
    # QTY_GREATER_THAN_MAX_QTY.
    ("binance", "-1013"): "market_lot_size",
    ("binance", "-4005"): "",
    # Bybit: 10001 is every malformed parameter, this message that of pybit#284. 170135 is spot's upper limit.
    ("bybit", "10001"): "exceeds maximum limit",
    ("bybit", "170135"): "",
    # OKX, "Error Code": market order amount exceeds the maximum amount.
    ("okx", "51202"): "",
}


def is_too_large(refusal: Refused) -> bool:
    """Returns whether an exchange has refused an order only for its size."""
    exchange, code = refusal.values.get("exchange"), refusal.values.get("exchange_code")
    words = _TOO_LARGE.get((str(exchange), str(code)))
    return words is not None and words in str(refusal.values.get("reason", "")).lower()
