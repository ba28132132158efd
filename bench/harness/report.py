"""The table, on the screen and in the docs, and the file of the figures."""

import json
from typing import Any

from rich.table import Column, Table

from bench.harness.environment import KEPT
from bench.harness.figures import Figure, Spread, number
from infra.stack import ROOT

LATEST = KEPT / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- python -m bench --write: begin -->\n", "<!-- end -->\n"

Kept = dict[str, Any]
"""By row: `measured_at`, `machine`, `commit`, and `figures` as JSON."""


def load() -> Kept:
    """Returns the latest figures of every measured case."""
    kept: Kept = json.loads(LATEST.read_text()) if LATEST.exists() else {}
    return kept


def keep(row: str, figures: list[Figure], circumstances: dict[str, str]) -> None:
    """Writes a case's figures into the file of the latest ones, and into a file of this run."""
    KEPT.mkdir(parents=True, exist_ok=True)
    entry = {**circumstances, "figures": [figure.as_json() for figure in figures]}
    LATEST.write_text(json.dumps(load() | {row: entry}, indent=1, ensure_ascii=False))
    stamp = circumstances["measured_at"].replace(":", "")
    (KEPT / f"{stamp}-{row}.json").write_text(json.dumps(entry, indent=1, ensure_ascii=False))


def table(figures: list[Figure]) -> Table:
    """Returns the table for the screen."""
    shown = Table(Column("what", min_width=36), "ours", "floor or peer", "ratio", "limit", "")
    for figure in figures:
        verdict = {None: "", True: "[green]✓[/]", False: "[red]✗[/]"}[figure.kept]
        shown.add_row(
            f"[bold]{figure.name}[/]\n[dim]{figure.means}[/]", *_cells(figure), verdict, end_section=True
        )
    return shown


def markdown(kept: Kept) -> str:
    """Returns the table for the docs, case by case."""
    lines = [
        "| what | ours | floor or peer | ratio | limit | kept |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in sorted(kept):
        for figure in (Figure.from_json(given) for given in kept[row]["figures"]):
            verdict = {None: "", True: "yes", False: "**no**"}[figure.kept]
            grows = f" *Grows*: {figure.grows}" if figure.grows else ""
            cells = " | ".join(_cells(figure))
            lines.append(f"| **{figure.name}** (`{row}`). {figure.means}{grows} | {cells} | {verdict} |")
    days = sorted({entry["measured_at"][:10] for entry in kept.values()})
    machines = sorted({entry["machine"] for entry in kept.values()})
    return (
        "\n".join(lines)
        + f"\n\nMeasured {' to '.join(dict.fromkeys((days[0], days[-1])))} on {'; '.join(machines)}.\n"
    )


def page(text: str, computed: str) -> str:
    """Returns the page with the table in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + computed + END + after


def _cells(figure: Figure) -> tuple[str, str, str, str]:
    baseline = (
        f"{_median(figure.baseline, figure.unit)} {figure.floor_is}" if figure.baseline else figure.floor_is
    )
    return (
        _median(figure.ours, figure.unit)
        if figure.judged is figure.ratio
        else _whole(figure.ours, figure.unit),
        baseline,
        _whole(figure.ratio, "") if figure.ratio else "",
        figure.limit.said(figure.unit if figure.judged is figure.ours else "") if figure.limit else "",
    )


def _median(measured: Spread, unit: str) -> str:
    return f"{number(measured.median)} {unit}".strip()


def _whole(measured: Spread, unit: str) -> str:
    if measured.low == measured.high:
        return _median(measured, unit)
    return f"{_median(measured, unit)} ({number(measured.low)} … {number(measured.high)})"
