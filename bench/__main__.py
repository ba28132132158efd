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
        prog="python -m bench", description="Run benchmarks and check their limits."
    )
    parser.add_argument("rows", nargs="*", help="cases by name; default: all but the optional ones")
    parser.add_argument("--list", action="store_true", help="list the cases")
    parser.add_argument(
        "--write", action="store_true", help="write the latest figures of every case into docs/benchmarks.md"
    )
    parser.add_argument("--keep", action="store_true", help="keep the local cloud running for the next run")
    parser.add_argument("--seed", type=int, default=1, help="seed of all random choices")
    given = parser.parse_args()
    unknown = set(given.rows) - set(cases.names())
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(cases.names())}")
    wanted = [cases.load(name) for name in given.rows or cases.names()]
    if given.list:
        for row in wanted:
            console.print(f"  {row.name:<14} {row.about}{' [dim](only by name)[/]' if row.optional else ''}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stops every started process
    failed = False
    if given.rows or not given.write:
        failed = _measure(
            [row for row in wanted if given.rows or not row.optional], seed=given.seed, keep=given.keep
        )
    if given.write:
        report.PAGE.write_text(report.page(report.PAGE.read_text(), report.markdown(report.load())))
    sys.exit(failed)


def _measure(wanted: list[cases.Row], *, seed: int, keep: bool) -> bool:
    """Measures the cases, stores and shows their figures. Returns whether one failed or missed a limit."""
    bench_environment = BenchEnvironment(seed)
    theirs = run.running(bench_environment.place)
    stack_environ = {
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
                figures = cases.measured(row, stack_environ, seed)
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
        ):  # optional cases have their own environments
            bench_environment.clear()
    missed = [figure.name for figure in shown if figure.kept is False]
    console.print(f"{len(shown)} figures in {time.monotonic() - began:.0f} s; {report.LATEST} keeps them")
    if missed:
        console.print(f"[red]not kept: {', '.join(missed)}[/]")
    return failed or bool(missed)


def _machine() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} processors, {system}, Python {platform.python_version()}"


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
