"""Percentiles of slippage that add up: counts by size, in steps of 5 %. Pure functions.

A percentile out of the counts is at most 2.5 % away from the exact one (DDSketch, Masson, Rim and Lee 2019,
https://arxiv.org/abs/1908.10693). Sizes below 0.01 basis points count as 0.
"""

import math
from collections.abc import Mapping
from decimal import Decimal

_GAMMA = 1.05
_LEAST = 0.01

Counts = dict[str, int]
"""How many values lie in each bin: "0", "12" for positive values, "-12" for negative ones."""


def counts_of(value: Decimal | None) -> Counts:
    """Returns the counts of one value, basis points. None counts nothing."""
    return {} if value is None else {_bin(float(value)): 1}


def added(first: Counts, second: Counts) -> Counts:
    """Returns the counts of both."""
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


def percentile(counts: Mapping[str, int], percent: int) -> Decimal | None:
    """Returns the value that this percentage of all values does not exceed. None without values."""
    total = sum(counts.values())
    rank = math.ceil(total * percent / 100)
    for name in sorted(counts, key=_middle):
        rank -= counts[name]
        if rank <= 0:
            return Decimal(f"{_middle(name):.4g}")
    return None


def _bin(value: float) -> str:
    if abs(value) < _LEAST:
        return "0"
    index = math.ceil(math.log(abs(value) / _LEAST, _GAMMA)) + 1
    return str(index if value > 0 else -index)


def _middle(name: str) -> float:
    """Returns the value that stands for a bin: relatively as far from its lower end as from its upper end."""
    index = int(name)
    if index == 0:
        return 0
    upper = _LEAST * _GAMMA ** (abs(index) - 1)
    return math.copysign(2 * upper / (1 + _GAMMA), index)
