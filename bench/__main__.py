"""`python -m bench [row ...] [--list] [--write] [--keep] [--seed N]`."""

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

from rich.console import Console

from bench.harness import cases, report
from bench.harness.environment import BenchEnvironment
from bench.harness.figures import Figure
from infra.local import run
from infra.stack import ROOT

console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures, and says what must be kept to."
    )
    parser.add_argument("rows", nargs="*", help="which, by name; without, all but the optional ones")
    parser.add_argument("--list", action="store_true", help="says what rows there are")
    parser.add_argument(
        "--write", action="store_true", help="puts the latest figures of every row into docs/benchmarks.md"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leaves the local cloud running for the next time"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed, other random choices")
    given = parser.parse_args()
    unknown = set(given.rows) - set(cases.names())
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(cases.names())}")
    wanted = [cases.load(name) for name in given.rows or cases.names()]
    if given.list:
        for row in wanted:
            console.print(f"  {row.name:<14} {row.about}{' [dim](only by name)[/]' if row.optional else ''}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what was started
    failed = False
    if given.rows or not given.write:
        failed = _measure(
            [row for row in wanted if given.rows or not row.optional], seed=given.seed, keep=given.keep
        )
    if given.write:
        report.PAGE.write_text(report.page(report.PAGE.read_text(), report.markdown(report.load())))
    sys.exit(failed)


def _measure(wanted: list[cases.Row], *, seed: int, keep: bool) -> bool:
    """Measures row after row, keeps and shows the figures. Whether a row failed or a limit was not kept."""
    bench_environment = BenchEnvironment(seed)
    theirs = run.running(bench_environment.place)
    told = {
        name: value
        for name, value in bench_environment.place.environ.items()
        if os.environ.get(name) != value
    }
    began, failed, shown = time.monotonic(), False, list[Figure]()
    circumstances = {"machine": _machine(), "commit": _commit()}
    try:
        for row in wanted:
            console.print(f"[bold]{row.name}[/] [dim]{row.about}[/]")
            try:
                figures = cases.measured(row, told, seed)
            except cases.RowError as error:
                console.print(f"[red]✗ {error}[/]")
                failed = True
                continue
            report.keep(
                row.name if seed == 1 else f"{row.name} {seed}",
                figures,
                circumstances | {"measured_at": datetime.now(UTC).isoformat(timespec="seconds")},
            )
            console.print(report.table(figures))
            shown += figures
    finally:
        if not (
            keep or theirs or all(row.optional for row in wanted)
        ):  # the optional ones have stands of their own
            bench_environment.clear()
    missed = [figure.name for figure in shown if figure.kept is False]
    console.print(f"{len(shown)} figures in {time.monotonic() - began:.0f} s; {report.LATEST} keeps them")
    if missed:
        console.print(f"[red]not kept: {', '.join(missed)}[/]")
    return failed or bool(missed)


def _machine() -> str:
    return f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
