"""Under every fault no order is lost and none is doubled."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from chalicelib.trading import MarketType
from simulator.client import Simulator
from simulator.fixtures import VENUES, stored_markets
from tests.contract.exchanges.exchange_rig import BUY, SimulatedRig
from tests.contract.exchanges.fault_matrix import FAULTS, render, run_matrix, settle


def test_every_cell_of_the_matrix(simulator: Simulator):
    """Each fault on each call of each exchange ends with the order there once, in the state the exchange has
    it in.
    """
    cells = run_matrix(simulator)

    assert [cell for cell in cells if cell.lost or cell.doubled or cell.disagrees] == []
    written = Path("docs/evidence/fault-matrix.md").read_text().splitlines()
    assert [_outline(line) for line in render(cells).splitlines()] == [_outline(line) for line in written], (
        "docs/evidence/fault-matrix.md is of another matrix: write it again by the command it names"
    )


def _outline(line: str) -> str:
    """A line without the course of each cell, which may differ from run to run.

    A second look, or one more.
    """
    parts = [part.strip() for part in line.split("|")]
    return line if len(parts) < 4 or parts[1] == "fault" else f"{parts[1]} {parts[2]} {len(parts)}"


def test_concluding_too_early_doubles(simulator: Simulator):
    """The matrix would show a double.

    Looked up before the late-arrival bound, an order still on its way is sent again.
    """
    simulator.call("POST", "limits", enabled=False)
    rig = SimulatedRig("binance", MarketType.SPOT, simulator)
    simulator.fault(kind="timeout", when="late", method="POST", api_key=rig.credentials.api_key, seconds=0.4)

    settle(rig.open(timeout=(1.0, 0.2)), rig.order(BUY, "0.1"), 0.0, [])

    deadline = time.monotonic() + 5
    while len(simulator.orders(api_key=rig.credentials.api_key)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_of_faults(simulator: Simulator, seed: int):
    """With a third of all calls failing in one way or another, every order of every account still arrives
    exactly once.
    """
    simulator.call("POST", "limits", enabled=False)
    for venue in VENUES:
        stored_markets(*venue)

    def trade(number: int) -> int:
        chance = random.Random(f"{seed} {number}")
        rig = SimulatedRig(*VENUES[number % len(VENUES)], simulator)
        exchange = rig.open(timeout=(1.0, 0.4))
        for _ in range(5):
            kind, when = chance.choice(
                [(kind, when) for kind, when in FAULTS if kind not in {"timeout", "slow"}]
            )
            simulator.fault(
                kind=kind, when=when, api_key=rig.credentials.api_key, path=chance.choice(["*", "*rder*"])
            )
            course: list[str] = []
            settle(exchange, rig.order(BUY, "0.01"), 0.0, course)
            simulator.orders(api_key=rig.credentials.api_key)
        orders = simulator.orders(api_key=rig.credentials.api_key)
        assert [each["status"] for each in orders] == ["filled"] * 5
        assert Decimal("0.05") == sum(Decimal(each["filled"]) for each in orders)
        return len(orders)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(trade, range(24))) == [5] * 24
