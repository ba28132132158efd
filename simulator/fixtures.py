"""Fixtures for tests that reach exchanges: import them into a conftest."""

import atexit
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from chalicelib.exchanges import registry
from chalicelib.trading import MarketType
from simulator.client import Simulator
from simulator.server import SimulatorServer

VENUES = [(exchange, market_type) for exchange in ("binance", "bybit", "okx") for market_type in MarketType]


@cache
def _shared_server() -> SimulatorServer:
    server = SimulatorServer(0).start()
    atexit.register(server.stop)
    return server


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[SimulatorServer]:
    """Yields a simulator on a free port. The adapter points to it.

    All conftests that import this fixture share one.
    """
    server = _shared_server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHOOK_EXCHANGE_ENDPOINT", server.url)
        yield server


@pytest.fixture
def simulator(simulator_server: SimulatorServer) -> Simulator:
    """Returns the simulator in its first state."""
    simulator = Simulator(simulator_server.url)
    simulator.reset()
    return simulator


@cache
def stored_markets(exchange: str, market_type: MarketType) -> dict[str, dict[str, Any]]:
    """Returns the exchange's metadata as the scheduled refresh would store it. Needs a running simulator."""
    return registry.fetch_markets(exchange, market_type)
