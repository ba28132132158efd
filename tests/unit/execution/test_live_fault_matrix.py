"""Each fault on each call of the worker to the exchange, in each scenario of an order.

No order lost, none doubled, the order store correct.

`FAULT_MATRIX=docs/evidence/order-fault-matrix.md` in the environment meets every fault on every call, and
writes the result. Without it, each scenario meets, on one market of each exchange, one fault per call that
changes something.
"""

import os
import time
from urllib.parse import urlsplit

import pytest

from chalicelib.exchanges import adapter, transport
from chalicelib.exchanges.transport import ExchangeTransport
from chalicelib.trading import MarketType
from simulator.client import Simulator
from simulator.fixtures import VENUES
from tests.unit.execution import scenarios
from tests.unit.execution.matrix import Cell, Matrix, shared, wrong
from tests.unit.execution.scenarios import BY_VENUE, SCENARIOS, Scenario, Venue
from tests.unit.execution.test_live_faults import FAULTS

_PAGE = os.environ.get("FAULT_MATRIX")

pytestmark = [pytest.mark.usefixtures("unlimited"), pytest.mark.timeout(1800 if _PAGE else 300)]

# The page has the scenarios that differ in their calls. The others consist of the same calls.
_ON_THE_PAGE = {
    "a market order",
    "a limit order",
    "a stop order",
    "an entry with take-profit and stop-loss",
    "a reversal",
    "a cancel of a limit and a stop order",
}


def _chosen(scenario: Scenario, venue: Venue) -> bool:
    """Returns whether this run has the scenario at the venue: always for the page.

    Else on one market of each exchange, the next scenario on the other.
    """
    if _PAGE:
        return scenario.name in _ON_THE_PAGE
    return (SCENARIOS.index(scenario) + VENUES.index(venue) + VENUES.index(venue) // 2) % 2 == 0


_CASES = [
    pytest.param(scenario, venue, id=scenarios.name_of(scenario, venue))
    for scenario, venue in BY_VENUE
    if _chosen(scenario, venue)
]
# With a timeout the caller gives up after 0.5 s, a late effect comes after 0.6 s, and the outcome counts as
# certain only after 0.9 s.
_GIVES_UP_S, _LATE_EFFECT_S, _LATE_ARRIVAL_S, _SLOW_S = 0.5, 0.6, 0.9, 0.05

_HEAD = """# The fault matrix of orders

Written by `FAULT_MATRIX=docs/evidence/order-fault-matrix.md` and
`pytest tests/unit/execution/test_live_fault_matrix.py`.

The worker executes a message on the exchange simulator, and one of its calls to the exchange meets a fault,
once. `before`: the exchange never saw the call. `after`: the exchange had acted. `late`: the exchange acted
after the caller had given up. SQS redelivers the message if the worker asks for it, and the account is
reconciled as every minute.

Each line is a call of the order path. Each cell has the number of calls to the exchange with that fault; the
number without a fault is the number of lines. The run fails

- unless the order store has exactly the exchange's orders, in the scenario's end states,
- unless the position has the right size,
- if the message, delivered once more after that, has an effect at the exchange or in the order store.

[The other matrix](fault-matrix.md) covers the exchanges' adapter alone.

**{cells} cells: orders lost {lost}, doubled {doubled}, final state other than the exchange's {differs}.**
"""


class Faulty:
    """Has the n-th call to the exchange meet a fault."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> None:
        self.calls: list[str] = []
        self._at, self._fault = -1, ("", "")
        send = ExchangeTransport.send

        def called(transport, request, *arguments, **more):
            path = urlsplit(request.url).path
            self.calls.append(f"{request.method} {path}")
            if len(self.calls) == self._at:
                kind, when = self._fault
                seconds = _SLOW_S if kind == "slow" else _LATE_EFFECT_S
                simulator.fault(method=request.method, path=path, kind=kind, when=when, seconds=seconds)
            return send(transport, request, *arguments, **more)

        monkeypatch.setattr(ExchangeTransport, "send", called)

    def arm(self, at: int, fault: tuple[str, str]) -> None:
        self.calls, self._at, self._fault = [], at, fault


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """Collects, and writes where it is asked to."""
    return Matrix(
        shared(tmp_path_factory, "faults"), _PAGE, _HEAD, tuple(" ".join(fault) for fault in FAULTS)
    )


def met(
    open_account, scenario: Scenario, venue: Venue, faulty: Faulty, at: int, fault: tuple[str, str]
) -> tuple[list[str], scenarios.ScenarioResult]:
    """Meets one fault at one call of a way, on an account of its own; gives the calls it took."""
    with pytest.MonkeyPatch.context() as patch:
        live = open_account(*venue)
        live.simulator.price("BTCUSDT", "50000")
        patch.setenv("TRADEHOOK_EGRESS_ADDRESS", live.account_id)
        message = scenario.begin(live)
        scenarios.forget_everything()
        if fault[0] == "timeout":
            patch.setattr(transport, "READ_TIMEOUT_S", _GIVES_UP_S)
            patch.setattr(adapter.CcxtExchange, "late_arrival_s", _LATE_ARRIVAL_S)
        started = time.monotonic()
        faulty.arm(at, fault)
        scenarios.settle(message)
        calls = faulty.calls
        faulty.arm(-1, fault)
        live.simulator.clear_faults()
        if fault[1] == "late":
            time.sleep(max(started + _GIVES_UP_S + _LATE_ARRIVAL_S - time.monotonic(), 0))
        scenarios.finish(live, message)
        return calls, scenarios.compare_records(live, scenario)


@pytest.mark.parametrize(("scenario", "venue"), _CASES)
def test_every_call_meets_faults(
    open_account, simulator, monkeypatch: pytest.MonkeyPatch, matrix: Matrix, scenario: Scenario, venue: Venue
) -> None:
    """Whatever fails, and wherever, the orders are those that were asked for."""
    faulty = Faulty(monkeypatch, simulator)
    undisturbed, found = met(open_account, scenario, venue, faulty, -1, ("", ""))
    assert not found
    cells = []
    turn = SCENARIOS.index(scenario) * 7 + BY_VENUE.index((scenario, venue)) * 3
    for at, call in enumerate(undisturbed, 1):
        if not _PAGE and call.startswith("GET"):
            continue
        for fault in FAULTS if _PAGE else [FAULTS[(turn + at) % len(FAULTS)]]:
            calls, found = met(open_account, scenario, venue, faulty, at, fault)
            cells.append(
                Cell(at, call, " ".join(fault), str(len(calls)), found.lost, found.doubled, found.differs)
            )
    matrix.add(scenario, venue, "all", cells)
    assert not wrong(cells)
    assert cells


@pytest.mark.parametrize(
    "name",
    [
        "a close in parts, each as large as the exchange takes",
        "a close that finds too little and is tried again",
    ],
)
@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_a_later_part_of_a_spot_close_that_never_arrived(
    open_account, simulator, monkeypatch: pytest.MonkeyPatch, exchange: str, name: str
) -> None:
    """What the parts before it sold does not count against its second proof: it is sent again."""
    [(scenario, venue)] = [
        (scenario, venue)
        for scenario, venue in BY_VENUE
        if scenario.name == name and venue == (exchange, MarketType.SPOT)
    ]
    faulty = Faulty(monkeypatch, simulator)
    undisturbed, _ = met(open_account, scenario, venue, faulty, -1, ("", ""))
    sends = [at for at, call in enumerate(undisturbed, 1) if call.startswith("POST")]
    assert len(sends) > 1
    for at in sends[1:]:
        assert not met(open_account, scenario, venue, faulty, at, ("503", "before"))[1]
