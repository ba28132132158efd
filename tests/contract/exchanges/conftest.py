"""The rigs that the contract is checked against."""

import pytest

from simulator.client import Simulator
from simulator.fixtures import VENUES, simulator, simulator_server
from tests.contract.exchanges.exchange_rig import ExchangeRig, SimulatedDesk

__all__ = ["desk", "simulator", "simulator_server"]

DESKS = {f"{exchange}-{market_type.value}": (exchange, market_type) for exchange, market_type in VENUES}
SPOT = {name: made for name, made in DESKS.items() if name.endswith("spot")}
FUTURES = {name: made for name, made in DESKS.items() if name.endswith("futures")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test with `desk` on every exchange.

    A test marked with one kind of market runs on that kind.
    """
    for fixture, desks in (("desk", DESKS), ("spot", SPOT), ("futures", FUTURES)):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, desks.values(), ids=desks.keys(), indirect=True)


@pytest.fixture
def desk(request: pytest.FixtureRequest, simulator: Simulator) -> ExchangeRig:
    """Any exchange and market."""
    return SimulatedDesk(*request.param, simulator)


@pytest.fixture
def spot(request: pytest.FixtureRequest, simulator: Simulator) -> ExchangeRig:
    """Any exchange, spot."""
    return SimulatedDesk(*request.param, simulator)


@pytest.fixture
def futures(request: pytest.FixtureRequest, simulator: Simulator) -> ExchangeRig:
    """Any exchange, futures."""
    return SimulatedDesk(*request.param, simulator)
