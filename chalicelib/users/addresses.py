"""Where credentials may be used from: lists of addresses and networks."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from chalicelib import aws
from chalicelib.errors import Forbidden
from chalicelib.telemetry import Metric, measure

TRADINGVIEW = ("52.89.214.238/32", "34.212.75.30/32", "54.218.53.128/32", "52.32.178.7/32")
"""TradingView's addresses (https://www.tradingview.com/support/solutions/43000529348)."""


def contains(allowed: Sequence[str], address: str) -> bool:
    """Returns whether an address is on a list. An empty list holds every address."""
    return not allowed or any(
        ip_address(address) in ip_network(each, strict=False) for each in _expand(allowed)
    )


def covers(allowed: Sequence[str], others: Sequence[str]) -> bool:
    """Returns whether every address of another list is on this list. An empty list holds every address."""
    if not allowed:
        return True
    networks = [ip_network(each, strict=False) for each in _expand(allowed)]
    wanted = [ip_network(each, strict=False) for each in _expand(others)]
    return bool(wanted) and all(any(_is_within(each, network) for network in networks) for each in wanted)


def check_token(stored: aws.Item, address: str | None) -> None:
    """Checks that a token may be used from an address. A token without a list may be used from anywhere.

    Args:
        stored: The token's record.
        address: The client's address as API Gateway saw it. None if there is none: a token with a list is
            refused.

    Raises:
        Forbidden: `token_address_refused`.
    """
    allowed = stored.get("allowed_addresses") or ()
    if not allowed or (address and contains(allowed, address)):
        return
    measure(Metric.TOKEN_FROM_UNKNOWN_ADDRESS)  # the token may have leaked
    raise Forbidden("token_address_refused", address=address or "")


def _expand(allowed: Sequence[str]) -> list[str]:
    return [
        each for entry in allowed for each in (TRADINGVIEW if entry.lower() == "tradingview" else (entry,))
    ]


def _is_within(inner: object, outer: object) -> bool:
    try:
        return bool(inner.subnet_of(outer))  # type: ignore[attr-defined]
    except TypeError:
        return False  # IPv4 and IPv6
