"""Client order ids, the same for every try at an order, in the strictest format that the exchanges share.

Binance takes 36 characters of `[.A-Z:/a-z0-9_-]`, Bybit 36 of `[A-Za-z0-9_-]`, OKX 32 of `[A-Za-z0-9]`.
"""

import base64
import hashlib
import re

PATTERN = re.compile(r"[A-Za-z0-9]{1,32}")

_PREFIX = "th"
_LENGTH = 32


def is_ours(client_id: str) -> bool:
    """Returns whether a client order id has our format."""
    return client_id.startswith(_PREFIX) and len(client_id) == _LENGTH


def client_order_id(signal_id: str, account_id: str, leg: str | int) -> str:
    """Returns the client order id of a signal's leg on an account. The same arguments give the same id.

    The 30 characters after the prefix hold 150 bits of a SHA-256, so two orders never share an id by chance.
    """
    # The separator occurs in none of the parts, so that ("a", "bc") and ("ab", "c") differ.
    digest = hashlib.sha256("\0".join((signal_id, account_id, str(leg))).encode()).digest()
    return (_PREFIX + base64.b32encode(digest).decode().lower())[:_LENGTH]
