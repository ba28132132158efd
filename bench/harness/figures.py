"""A line of the table: a figure, what it is measured against, what it must keep to."""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing: their median, least and greatest, and how many there were."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Iterable[float]) -> Spread:
    """The spread of some measurements, at least one."""
    measured = list(values)
    return Spread(statistics.median(measured), min(measured), max(measured), len(measured))


@dataclass(frozen=True)
class Limit:
    """What a figure must keep to.

    Attributes:
        at_most: Whether `value` is its ceiling or its floor.
        worst: Whether the worst measurement must keep to it, not the median.
        on_ours: Whether it is on our own figure, though there is a ratio.
    """

    value: float
    at_most: bool = True
    worst: bool = False
    on_ours: bool = False

    def kept_by(self, measured: Spread) -> bool:
        """Whether these measurements keep to it."""
        if self.at_most:
            return (measured.high if self.worst else measured.median) <= self.value
        return (measured.low if self.worst else measured.median) >= self.value

    def said(self, unit: str) -> str:
        """The limit as the table says it."""
        return f"{'≤' if self.at_most else '≥'} {number(self.value)} {unit}".strip() + (
            ", each time" if self.worst else ""
        )


def at_most(value: float, *, worst: bool = False, on_ours: bool = False) -> Limit:
    """A ceiling."""
    return Limit(value, worst=worst, on_ours=on_ours)


def at_least(value: float, *, worst: bool = False, on_ours: bool = False) -> Limit:
    """A floor."""
    return Limit(value, at_most=False, worst=worst, on_ours=on_ours)


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        means: What the figure says, in a sentence.
        ours: Ours, in `unit`.
        baseline: What it is measured against, in the same unit; `floor_is` says what that is.
        ratio: Ours by the floor's, pair by pair.
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
        """Whether the limit is kept; None if there is none."""
        return self.limit.kept_by(self.judged) if self.limit else None

    @property
    def judged(self) -> Spread:
        """What the limit is on."""
        return self.ratio if self.ratio and not (self.limit and self.limit.on_ours) else self.ours

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return asdict(self) | {"kept": self.kept}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Figure":
        """From the file."""
        spreads = {name: Spread(**given[name]) for name in ("ours", "baseline", "ratio") if given[name]}
        limit = Limit(**given["limit"]) if given["limit"] else None
        return cls(
            **{name: value for name, value in given.items() if name != "kept"} | spreads | {"limit": limit}
        )


def number(value: float) -> str:
    """A figure for people: three digits that count, thousands with commas."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"
