"""The way a price took between two looks, as far as it is known: last price, high and low. Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal


def extremes(
    last: Decimal, high: Decimal | None, low: Decimal | None, levels: Iterable[Decimal], *, long: bool
) -> tuple[Sequence[Decimal], Sequence[Decimal]]:
    """The prices on the way to the extreme that is worse for the position, and to the one that is better.

    Which came first is unknown, so the worse one does. Where stop-loss and take-profit both lie inside the
    range, the stop-loss fills. A market moves through the levels between, so an order fills at its own level
    and not at the extreme.

    Args:
        last: The price now.
        high, low: None where nothing is certain.
        levels: The stop prices of the waiting orders.
        long: Whether the position gains when the price rises.
    """
    stops = sorted(set(levels))
    down = (
        [] if low is None or low >= last else [*(each for each in reversed(stops) if low < each < last), low]
    )
    up = [] if high is None or high <= last else [*(each for each in stops if last < each < high), high]
    return (down, up) if long else (up, down)


def way_back(extreme: Decimal, last: Decimal, levels: Iterable[Decimal]) -> Sequence[Decimal]:
    """The prices of the levels that a market passes on its way from an extreme to the last price."""
    low, high = min(extreme, last), max(extreme, last)
    return sorted((each for each in set(levels) if low < each < high), reverse=extreme > last)
