"""A page of the documentation that a run writes, whatever number of processes the run has."""

import fcntl
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.unit.execution.scenarios import BY_VENUE, Scenario, ScenarioResult, Venue, name_of


@dataclass(frozen=True)
class Cell:
    """One disturbance: `row` and `column` are where it stands in the table of its way and venue."""

    at: int
    row: str
    column: str
    text: str
    lost: int
    doubled: int
    differs: bool


class Matrix:
    """The cells of a run. Each test writes its own part.

    Every finished test writes the page again from all parts.
    """

    def __init__(self, parts: Path, page: str | None, head: str, columns: tuple[str, ...]) -> None:
        """`head` begins the page, with `{cells}` and the sums of what went wrong.

        Without a `page` nothing is written.
        """
        self._parts, self._page, self._head, self._columns = parts, page, head, columns

    def add(self, scenario: Scenario, venue: Venue, part: str, cells: list[Cell]) -> None:
        """The cells of one test."""
        if self._page is None:
            return
        (self._parts / f"{name_of(scenario, venue)}-{part}.json").write_text(
            json.dumps([asdict(cell) for cell in cells])
        )
        with (self._parts / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            Path(self._page).write_text(self._rendered())

    def _rendered(self) -> str:
        lines, everything = [], []
        for scenario, venue in sorted(BY_VENUE, key=lambda each: (each[1][0], each[1][1].value)):
            found = sorted(self._parts.glob(f"{name_of(scenario, venue)}-*.json"))
            cells = [Cell(**cell) for part in found for cell in json.loads(part.read_text())]
            if not cells:
                continue
            everything += cells
            rows: dict[tuple[int, str], dict[str, str]] = {}
            for cell in cells:
                rows.setdefault((cell.at, cell.row), {})[cell.column] = cell.text
            lines += [
                f"## {venue[0].capitalize()} {venue[1].value}: {scenario.name}\n",
                _line(["", "call", *self._columns]),
            ]
            lines.append(_line(["---"] * (len(self._columns) + 2)))
            lines += [
                _line([str(at), row, *(of.get(column, "") for column in self._columns)])
                for (at, row), of in sorted(rows.items())
            ]
            lines.append("")
        sums = {
            what: sum(getattr(cell, what) for cell in everything) for what in ("lost", "doubled", "differs")
        }
        return "\n".join([self._head.format(cells=len(everything), **sums), *lines])


def shared(factory: pytest.TempPathFactory, name: str) -> Path:
    """A directory that all processes of the run share."""
    base = factory.getbasetemp()
    parts = (base.parent if base.name.startswith("popen-gw") else base) / name
    parts.mkdir(exist_ok=True)
    return parts


def wrong(cells: list[Cell]) -> list[Cell]:
    """The cells in which something was lost, doubled, or ended otherwise."""
    return [cell for cell in cells if ScenarioResult(cell.lost, cell.doubled, cell.differs)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
