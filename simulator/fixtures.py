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
    """A simulator on a free port, with the adapter pointed at it.

    The same one for every conftest that imports this fixture.
    """
    server = _shared_server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHOOK_EXCHANGE_ENDPOINT", server.url)
        yield server


@pytest.fixture
def simulator(simulator_server: SimulatorServer) -> Simulator:
    """The simulator, as new."""
    simulator = Simulator(simulator_server.url)
    simulator.reset()
    return simulator


@cache
def stored_markets(exchange: str, market_type: MarketType) -> dict[str, dict[str, Any]]:
    """The exchange's metadata as the scheduled refresh would store it; needs the simulator running."""
    return registry.fetch_markets(exchange, market_type)
