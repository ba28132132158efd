"""Finds the cases and runs each in its own process, with a time limit."""

import argparse
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import bench
from bench.harness.environment import BenchEnvironment
from bench.harness.figures import Figure
from infra.stack import ROOT

_POLITE_S = 20


@dataclass(frozen=True)
class Row:
    """A module that measures.

    Attributes:
        budget_s: Its planned duration, at most.
        optional: Runs only by name.
    """

    name: str
    about: str
    budget_s: float
    optional: bool
    run: Callable[[BenchEnvironment], Iterator[Figure]]


class RowError(Exception):
    """A case without figures."""


def names() -> list[str]:
    """Returns the names of all cases."""
    return sorted(
        found.name
        for found in pkgutil.iter_modules(bench.__path__)
        if found.name not in {"harness", "__main__"}
    )


def load(name: str) -> Row:
    """Returns the case of that name."""
    module = importlib.import_module(f"bench.{name}")
    about = (module.__doc__ or "").partition("\n")[0]
    return Row(name, about, module.BUDGET_S, getattr(module, "OPTIONAL", False), module.run)


def measured(row: Row, place: dict[str, str], seed: int) -> list[Figure]:
    """Runs a case in its own process and returns its figures.

    Args:
        place: The environment that selects the local stack.

    Raises:
        RowError: It failed, or took more than twice its budget and was killed.
    """
    with tempfile.TemporaryDirectory() as directory:
        figures_path = Path(directory) / "figures.json"
        command = [
            sys.executable,
            "-m",
            "bench.harness.cases",
            row.name,
            str(figures_path),
            "--seed",
            str(seed),
        ]
        child = subprocess.Popen(command, cwd=ROOT, env=os.environ | place, start_new_session=True)
        try:
            child.wait(row.budget_s * 2)
        except subprocess.TimeoutExpired:
            raise RowError(f"{row.name} took more than twice its {row.budget_s:.0f} s") from None
        finally:
            if child.poll() is None:
                _end(child)
        if child.returncode:
            raise RowError(f"{row.name} failed")
        return [Figure.from_json(figure) for figure in json.loads(figures_path.read_text())]


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends an unfinished case: first by a signal, so that it can stop its own processes."""
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_POLITE_S)
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def main() -> None:
    """The main function of the case's process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("row")
    parser.add_argument("figures_path", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    row = load(given.row)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.excepthook = sys.__excepthook__  # a traceback for people, not the product's log line
    figures = list(row.run(BenchEnvironment(given.seed, row.budget_s)))
    given.figures_path.write_text(json.dumps([figure.as_json() for figure in figures]))


if __name__ == "__main__":
    main()
