"""Cold start of every function from the built artifact, next to a bare import of its dependencies."""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.harness import BenchEnvironment, Figure, at_most, interleaved, spread
from infra import stack
from infra.build.artifact import BUILD, build

BUDGET_S = 120

_ROUNDS = 7
# The exchanges' code is loaded with the first account that has keys. A worker that trades is ready only after
# that.
_TRADING = """
from chalicelib.exchanges import registry
from chalicelib.exchanges.protocol import Credentials
from chalicelib.trading import MarketType
registry.open_exchange("{exchange}", MarketType.SPOT, Credentials("k", "s", "p"), {{}})
"""
_BARE = "import boto3"
_BARE_TRADING = "import boto3, ccxt"
_MEASURED = r"""
import json, re, sys, time
began = time.perf_counter()
{work}
took = (time.perf_counter() - began) * 1000
ccxt = sys.modules.get("ccxt")
# getrusage counts the parent process, too
held = int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1])
print(json.dumps([took, held / 1024, ccxt.__file__ if ccxt else ""]))
"""


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures the import of each function's module, and of the clients that it prepares.

    For functions that trade, an exchange is opened, too.
    """
    build()
    described = stack.load()
    with tempfile.TemporaryDirectory(prefix="cold-") as directory:
        with zipfile.ZipFile(BUILD / "tradehook.zip") as zipped:
            zipped.extractall(directory)
        for name, function in described.functions.items():
            exchange = function.exchange if function.exchange != "paper" else None
            if function.exchange and exchange is None:
                continue  # the same code as the others', without the exchange
            work = f"import {function.module}" + (_TRADING.format(exchange=exchange) if exchange else "")
            memory: list[float] = []
            turns = interleaved(
                _started(directory, work, memory, ccxt=bool(exchange)),
                _started(directory, _BARE_TRADING if exchange else _BARE, [], ccxt=bool(exchange)),
                rounds=_ROUNDS,
                until=bench_environment.ends_at,
            )
            yield Figure(
                f"cold start, {name}",
                "A fresh process imports the function and opens an exchange."
                if exchange
                else "A fresh process imports the function.",
                turns.ours,
                "ms",
                baseline=turns.baseline,
                floor_is="import of boto3 and the trimmed ccxt" if exchange else "import of boto3",
                ratio=turns.ratio,
                limit=at_most(2) if exchange else None,
                grows="with the code of the function, not with anything stored.",
            )
            yield Figure(f"memory, {name}", "The most that process held.", spread(memory), "MB")


def _started(directory: str, work: str, memory: list[float], *, ccxt: bool) -> Callable[[], float]:
    """Returns a measurement of a fresh process that does this work.

    Milliseconds from the start of its interpreter, as Lambda bills them.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": directory,
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "cold",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    command = [sys.executable, "-c", _MEASURED.format(work=work)]

    def start() -> float:
        done = subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        took, held, origin = json.loads(done.stdout.splitlines()[-1])
        # Without trading, no part of ccxt is loaded. With trading, it is the artifact's own.
        assert Path(origin).is_relative_to(directory) if ccxt else not origin, origin
        memory.append(held)
        return float(took)

    return start
