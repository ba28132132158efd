"""Measures two things in turn, so that disturbances of the machine affect both."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.harness.figures import Spread, spread

Work = Callable[[], float | None]
"""A piece of work. Its result is the measurement. If that is None, its milliseconds are."""

_FEWEST = 3


@dataclass(frozen=True)
class Interleaved:
    """The result, with the ratio pair by pair."""

    ours: Spread
    baseline: Spread
    ratio: Spread


def timed(work: Work) -> float:
    """Returns the measurement of a piece of work."""
    began = time.perf_counter()
    own = work()
    return (time.perf_counter() - began) * 1000 if own is None else own


def interleaved(
    ours: Work, baseline: Work, *, rounds: int, warm_up: int = 1, until: float | None = None
) -> Interleaved:
    """Measures ours and the baseline in turn, in an order that changes from round to round.

    Args:
        rounds: The number of rounds, if there is time.
        warm_up: Earlier rounds that do not count.
        until: When to stop in any case, on the monotonic clock, but not before three rounds.
    """
    for _ in range(warm_up):
        ours()
        baseline()
    measured: list[tuple[float, float]] = []
    for index in range(rounds):
        if index % 2:
            other = timed(baseline)
            measured.append((timed(ours), other))
        else:
            own = timed(ours)
            measured.append((own, timed(baseline)))
        if until is not None and len(measured) >= _FEWEST and time.monotonic() > until:
            break
    return Interleaved(
        spread(own for own, _ in measured),
        spread(other for _, other in measured),
        spread(own / other for own, other in measured),
    )
