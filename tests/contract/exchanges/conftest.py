"""The rigs that the contract is checked against."""

import pytest

from simulator.client import Simulator
from simulator.fixtures import VENUES, simulator, simulator_server
from tests.contract.exchanges.exchange_rig import ExchangeRig, SimulatedRig

__all__ = ["rig", "simulator", "simulator_server"]

DESKS = {f"{exchange}-{market_type.value}": (exchange, market_type) for exchange, market_type in VENUES}
SPOT = {name: made for name, made in DESKS.items() if name.endswith("spot")}
FUTURES = {name: made for name, made in DESKS.items() if name.endswith("futures")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test with `rig` on every exchange.

    A test marked with one kind of market runs on that kind.
    """
    for fixture, rigs in (("rig", DESKS), ("spot", SPOT), ("futures", FUTURES)):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, rigs.values(), ids=rigs.keys(), indirect=True)


@pytest.fixture
def rig(request: pytest.FixtureRequest, simulator: Simulator) -> ExchangeRig:
    """Any exchange and market."""
    return SimulatedRig(*request.param, simulator)


@pytest.fixture
def spot(request: pytest.FixtureRequest, simulator: Simulator) -> ExchangeRig:
    """Any exchange, spot."""
    return SimulatedRig(*request.param, simulator)


@pytest.fixture
def futures(request: pytest.FixtureRequest, simulator: Simulator) -> ExchangeRig:
    """Any exchange, futures."""
    return SimulatedRig(*request.param, simulator)
