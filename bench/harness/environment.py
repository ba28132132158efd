"""The environment of the cases: the benchmarks' own local cloud, and the exchange simulator."""

import os
import sys
import time
import urllib.request
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from infra.local import process, run
from infra.local.paths import HOST, LocalStackPaths
from infra.local.stack import LocalStack, connect
from infra.local.stack_env import read_stack_env
from infra.stack import ROOT
from simulator.client import Simulator

KEPT = ROOT / ".local" / "bench"
_PORT = 18_670
_SIMULATOR_PORT_DISTANCE = 1
_SIMULATOR_PATIENCE_S = 20


class BenchEnvironment:
    """The resources of a case. Each starts on first use.

    Attributes:
        seed: The only source of randomness.
        ends_at: When the case's budget is used up, on the monotonic clock. The start of the cloud does not
            count.
    """

    def __init__(self, seed: int = 1, budget_s: float = 60) -> None:
        self.seed = seed
        self.ends_at = time.monotonic() + budget_s

    @cached_property
    def place(self) -> LocalStackPaths:
        """Returns the cloud's paths: by `TRADEHOOK_LOCAL_DIR` and `PORT`, else the benchmarks' own."""
        own = {
            "PORT": os.environ.get("PORT") or str(_PORT),
            "TRADEHOOK_LOCAL_DIR": os.environ.get("TRADEHOOK_LOCAL_DIR") or str(KEPT / "stack"),
        }
        endpoint = f"http://{HOST}:{int(own['PORT']) + _SIMULATOR_PORT_DISTANCE}"
        # Live prices would be load that no row asked for.
        quiet = {"TRADEHOOK_LIVE_PRICES": "off", "TRADEHOOK_EXCHANGE_ENDPOINT": endpoint}
        return LocalStackPaths.here({**os.environ, **own, **quiet})

    @cached_property
    def stack(self) -> LocalStack:
        """Returns the running stack. From now on the product's code in this process works on it."""
        if not run.running(self.place):
            began = time.monotonic()
            run.up(self.place, reset=True)
            self.ends_at += time.monotonic() - began
        stack = connect(self.place)
        os.environ.update(stack.environment())
        return stack

    @cached_property
    def env(self) -> dict[str, str]:
        """Returns the stack's `stack.env`: URLs, demo users, tokens."""
        _ = self.stack
        return read_stack_env(self.place)

    @cached_property
    def exchanges(self) -> Simulator:
        """Returns Binance, Bybit and OKX, in their first state."""
        simulator = Simulator(self.place.environment["TRADEHOOK_EXCHANGE_ENDPOINT"])
        pid, log = self._simulator_pid, self.place.log("simulator")
        if not process.running(pid):
            port = simulator.url.rsplit(":", 1)[1]
            process.start(
                [sys.executable, "-m", "simulator", "--port", port], pid, log, dict(os.environ), ROOT
            )
        until = time.monotonic() + _SIMULATOR_PATIENCE_S
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{simulator.url}/_sim/health", timeout=2):
                break
            if time.monotonic() > until:
                raise process.ProcessError(
                    f"the simulator does not answer; {log} ends with:\n{process.tail(log)}"
                )
            time.sleep(0.05)
        simulator.reset()
        return simulator

    @property
    def _simulator_pid(self) -> Path:
        self.place.directory.mkdir(parents=True, exist_ok=True)
        return self.place.directory / "simulator.pid"

    def clear(self) -> None:
        """Stops the processes of the environment."""
        process.stop(self._simulator_pid, within_s=5)
        run.down(self.place)
