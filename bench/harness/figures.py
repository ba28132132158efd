"""A line of the table: a figure, its baseline and its limit."""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Several measurements: their median, minimum, maximum and number."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Iterable[float]) -> Spread:
    """Returns the spread of one or more measurements."""
    measured = list(values)
    return Spread(statistics.median(measured), min(measured), max(measured), len(measured))


@dataclass(frozen=True)
class Limit:
    """The limit of a figure.

    Attributes:
        at_most: Whether `value` is an upper or a lower limit.
        worst: Whether the worst measurement must keep the limit, not the median.
        on_ours: Whether the limit is on our own figure, though there is a ratio.
    """

    value: float
    at_most: bool = True
    worst: bool = False
    on_ours: bool = False

    def kept_by(self, measured: Spread) -> bool:
        """Returns whether these measurements keep the limit."""
        if self.at_most:
            return (measured.high if self.worst else measured.median) <= self.value
        return (measured.low if self.worst else measured.median) >= self.value

    def said(self, unit: str) -> str:
        """Returns the limit as the table shows it."""
        return f"{'≤' if self.at_most else '≥'} {number(self.value)} {unit}".strip() + (
            ", each time" if self.worst else ""
        )


def at_most(value: float, *, worst: bool = False, on_ours: bool = False) -> Limit:
    """Returns an upper limit."""
    return Limit(value, worst=worst, on_ours=on_ours)


def at_least(value: float, *, worst: bool = False, on_ours: bool = False) -> Limit:
    """Returns a lower limit."""
    return Limit(value, at_most=False, worst=worst, on_ours=on_ours)


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        means: The meaning of the figure, in a sentence.
        ours: Ours, in `unit`.
        baseline: The baseline, in the same unit; `floor_is` describes it.
        ratio: Ours divided by the baseline, pair by pair.
        limit: On the ratio, if there is one, else on ours.
        grows: How it grows, and with what.
    """

    name: str
    means: str
    ours: Spread
    unit: str
    baseline: Spread | None = None
    floor_is: str = ""
    ratio: Spread | None = None
    limit: Limit | None = None
    grows: str = ""

    @property
    def kept(self) -> bool | None:
        """Returns whether the limit is kept. None without a limit."""
        return self.limit.kept_by(self.judged) if self.limit else None

    @property
    def judged(self) -> Spread:
        """Returns the spread that the limit applies to."""
        return self.ratio if self.ratio and not (self.limit and self.limit.on_ours) else self.ours

    def as_json(self) -> dict[str, Any]:
        """Returns the figure for the file."""
        return asdict(self) | {"kept": self.kept}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Figure":
        """Returns a figure from the file."""
        spreads = {name: Spread(**given[name]) for name in ("ours", "baseline", "ratio") if given[name]}
        limit = Limit(**given["limit"]) if given["limit"] else None
        return cls(
            **{name: value for name, value in given.items() if name != "kept"} | spreads | {"limit": limit}
        )


def number(value: float) -> str:
    """Returns a figure for people: three significant digits, thousands with commas."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"
