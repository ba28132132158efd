"""The worker is killed before or after each call it makes, to AWS and to the exchange.

The message comes again. Nothing is lost or doubled.

`CRASH_MATRIX=docs/evidence/crash-matrix.md` in the environment kills on every way of every venue, and writes
down what became of each order; without it a part of them is run.
"""

import os
import time
from collections import Counter
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.client import BaseClient

from chalicelib.errors import Retryable
from chalicelib.exchanges.session import ExchangeSession
from chalicelib.exchanges.transport import ExchangeTransport
from chalicelib.orders import store
from chalicelib.orders.models import Instruction
from chalicelib.trading import MarketType
from simulator.fixtures import VENUES
from tests.unit.execution import scenarios
from tests.unit.execution.conftest import LATE_S, Live
from tests.unit.execution.matrix import Cell, Matrix, shared, wrong
from tests.unit.execution.scenarios import BY_VENUE, Scenario, Venue

pytestmark = pytest.mark.usefixtures("unlimited")

_PAGE = os.environ.get("CRASH_MATRIX")
_BEFORE, _AFTER = "killed before", "killed after"

_HEAD = """# The crash matrix

Written by `CRASH_MATRIX=docs/evidence/crash-matrix.md pytest tests/unit/execution/test_live_crashes.py`.

The worker executes a message on the exchange simulator. Its process ends just before a call, or just after
the call took effect and before its answer arrived. Then a new process gets the same message, and the account
is reconciled as every minute.

Each line is a call of the order path. Each cell has the state of the message's orders, cancelled and closed
ones included: at the exchange when the process ended, and in the order store at the end. The run fails

- unless the order store has exactly the exchange's orders, in the scenario's end states,
- unless the position has the right size,
- if the message, delivered once more after that, has an effect at the exchange or in the order store,
- if an order's event was published twice.

**{cells} kills: orders lost {lost}, doubled {doubled}, final state other than the exchange's {differs}.**
"""

# In every run: each way somewhere, and an order at market everywhere, killed after each call that changes
# something. After one that only
# reads, and before any, all is as it was after the last that did.
_ALWAYS = {
    "a limit order": ("okx", MarketType.FUTURES),
    "a stop order": ("binance", MarketType.FUTURES),
    "an entry with take-profit and stop-loss": ("binance", MarketType.SPOT),
    "an entry with two take-profits, each with its stop-loss": ("okx", MarketType.FUTURES),
    "a reversal": ("bybit", MarketType.FUTURES),
    "two sells of half": ("bybit", MarketType.SPOT),
    "a cancel of a limit and a stop order": ("okx", MarketType.SPOT),
    "a stop: cancels, then closes": ("bybit", MarketType.SPOT),
    "a close with take-profit and stop-loss": ("okx", MarketType.FUTURES),
    "a close in parts, each as large as the exchange takes": ("bybit", MarketType.FUTURES),
    "a close that finds too little and is tried again": ("okx", MarketType.FUTURES),
    "a close of both sides of a hedged account": ("binance", MarketType.FUTURES),
    "a daily loss that closes all": ("binance", MarketType.FUTURES),
    "the follow-up of an entry that has filled: places its exits": ("bybit", MarketType.FUTURES),
    "the follow-up of a stop-loss that has fired: cancels the take-profit": ("binance", MarketType.FUTURES),
    "the follow-up of one of two take-profits: cancels its stop-loss only": ("bybit", MarketType.FUTURES),
}
# Likewise where the message comes back too late to open anything.
_LATE = {
    "an entry with take-profit and stop-loss": ("bybit", MarketType.FUTURES),
    "a reversal": ("okx", MarketType.FUTURES),
    "two sells of half": ("okx", MarketType.SPOT),
    "a close with take-profit and stop-loss": ("binance", MarketType.SPOT),
}
_CASES = [
    pytest.param(scenario, venue, side, id=f"{scenarios.name_of(scenario, venue)}-{side.partition(' ')[2]}")
    for scenario, venue in BY_VENUE
    for side in (_AFTER, _BEFORE)
    if _PAGE or (side == _AFTER and _ALWAYS.get(scenario.name, venue) == venue)
]


class Killed(BaseException):
    """The end of the process."""


class Killer:
    """Kills the worker after, or before, its n-th call.

    Of those that change something, if it is not to make the whole page.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.at, self.after, self.last = 0, -1, True, ""
        for owner, name in ((BaseClient, "_make_api_call"), (ExchangeTransport, "send")):
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, original):
        def call(*arguments, **more):
            counts = bool(_PAGE) or _changes(*arguments)
            self.calls += counts
            mine = counts and self.calls == self.at
            if mine:
                self.last = _named(*arguments)
            if mine and not self.after:
                raise Killed
            try:
                return original(*arguments, **more)
            finally:
                if mine:
                    raise Killed  # in place of whatever the answer was

        return call

    def kills(self, message: scenarios.Message, at: int, *, after: bool) -> bool:
        """Delivers a message to a new process and kills it at a call; False if it comes to its end before."""
        scenarios.forget_everything()
        self.calls, self.at, self.after = 0, at, after
        try:
            scenarios.deliver(message)
        except Killed:
            return True
        except Retryable:
            return False
        finally:
            self.at = -1
            scenarios.forget_everything()
        return False


def _named(caller: Any, what: Any, *_: Any) -> str:
    """A call as the matrix has it."""
    if isinstance(caller, BaseClient):
        return f"{caller.meta.service_model.service_name} {what}"
    return f"{what.method} {urlsplit(what.url).path}"


def _changes(caller: Any, what: Any, arguments: Any = None, *_: Any) -> bool:
    """Returns whether a call changes something.

    A limit booked for a crashed process is not an order.
    """
    if isinstance(caller, BaseClient):
        return (
            what.startswith(("Transact", "Put", "Update", "Delete", "Send", "BatchWrite"))
            and arguments.get("TableName") != "test-limits"
        )
    return what.method != "GET"


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """Collects, and writes where it is asked to."""
    return Matrix(shared(tmp_path_factory, "crashes"), _PAGE, _HEAD, (_BEFORE, _AFTER))


def killed(live: Live, scenario: Scenario, killer: Killer, at: int, side: str) -> Cell | None:
    """Kills the worker at one call of a way; None where it comes to its end before."""
    message = scenario.begin(live)
    ended = {each["client_id"] for each in live.there() if each["status"] not in {"open", "untriggered"}}
    reached = killer.kills(message, at, after=side == _AFTER)
    then = Counter(
        "open" if each["status"] == "untriggered" else each["status"]
        for each in live.there()
        if each["client_id"] not in ended
    )
    scenarios.finish(live, message)
    found = scenarios.compare_records(live, scenario)
    if not reached:
        assert not found, (found, live.order_store(), live.there())
        return None
    now = Counter(
        order.status.value
        for order in live.order_store()
        if order.client_order_id not in ended and order.status != "rejected"
    )
    return Cell(
        at,
        killer.last,
        side,
        f"{scenarios.counted(then)} → {scenarios.counted(now)}",
        found.lost,
        found.doubled,
        found.differs,
    )


def single_account(open_account, monkeypatch: pytest.MonkeyPatch, venue: Venue) -> Live:
    """Prepares an account like the first one.

    The first price, and an unused address.
    """
    live = open_account(*venue)
    live.simulator.price("BTCUSDT", "50000")
    monkeypatch.setenv("TRADEHOOK_EGRESS_ADDRESS", live.account_id)
    return live


@pytest.mark.parametrize(("scenario", "venue", "side"), _CASES)
def test_killed_anywhere(
    open_account, monkeypatch: pytest.MonkeyPatch, matrix: Matrix, scenario: Scenario, venue: Venue, side: str
) -> None:
    """Whichever call was the last, the orders are those that were asked for."""
    killer = Killer(monkeypatch)
    cells: list[Cell] = []
    while (
        cell := killed(
            single_account(open_account, monkeypatch, venue), scenario, killer, len(cells) + 1, side
        )
    ) is not None:
        cells.append(cell)
    matrix.add(scenario, venue, side.partition(" ")[2], cells)
    assert not wrong(cells)
    assert not scenarios.told_twice()
    assert len(cells) > 1


def test_every_way_is_killed_somewhere() -> None:
    """The part of the matrix that every run has leaves no way and no venue out."""
    always = {
        (scenario.name, venue) for scenario, venue in BY_VENUE if _ALWAYS.get(scenario.name, venue) == venue
    }
    assert {name for name, _ in always} == {scenario.name for scenario in scenarios.SCENARIOS}
    assert {venue for _, venue in always} == set(VENUES)


_LATE_CASES = [
    pytest.param(scenario, venue, id=scenarios.name_of(scenario, venue))
    for scenario, venue in BY_VENUE
    if scenario.message is Instruction and (_PAGE or _LATE.get(scenario.name) == venue)
]


@pytest.mark.parametrize(("scenario", "venue"), _LATE_CASES)
def test_killed_anywhere_and_delivered_too_late(
    open_account, monkeypatch: pytest.MonkeyPatch, scenario: Scenario, venue: Venue
) -> None:
    """The queue gives back a message of a process that died when it is stale.

    Nothing is opened then, and nothing is left half done.
    """
    killer, at, reached = Killer(monkeypatch), 0, True
    while reached:
        at += 1
        live = single_account(open_account, monkeypatch, venue)
        message = scenario.begin(live)
        reached = killer.kills(message, at, after=True)
        time.sleep(LATE_S)
        scenarios.finish(
            live, message.model_copy(update={"received_at": message.received_at - timedelta(minutes=10)})
        )
        orders = live.order_store()
        assert live.agrees(), at
        assert not [
            order for order in orders if order.status in {"pending_new", "unknown"} or order.unprotected
        ], at
        if not scenario.opens:
            assert not scenarios.compare_records(live, scenario), at
        [execution], _ = store.results_of(message.signal_id)
        done = {order.leg for order in execution.orders if order.status != "rejected"}
        assert execution.succeeded is bool(done or not scenario.opens), at


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_message_that_comes_again_too_late(
    open_account, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    """The worker died before it sent its claimed order.

    A sale of holdings is sent however old the signal is, a purchase is not.
    """
    live = open_account("bybit", MarketType.SPOT)
    signal = live.signal(side)

    def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ExchangeSession, "place", dies)
        with pytest.raises(Killed):
            scenarios.deliver(signal)
    scenarios.forget_everything()
    [claimed] = live.order_store()
    assert claimed.status == "pending_new"
    time.sleep(LATE_S)
    execution = live.execute(
        signal.model_copy(update={"received_at": signal.received_at - timedelta(minutes=10)})
    )
    [order] = live.order_store()
    if side == "sell":
        assert not execution.refused
        assert (order.status, len(live.there())) == ("filled", 1)
    else:
        assert [leg.code for leg in execution.refused] == ["stale"]
        assert (order.status, order.code, live.there()) == ("rejected", "stale", [])


def test_the_settlement_is_written_once(open_account) -> None:
    """Two workers that both get the message place one order and write one execution."""
    live = open_account("okx", MarketType.SPOT)
    signal = live.signal()
    live.execute(signal)
    live.execute(signal)
    executions, orders = store.results_of(signal.signal_id)
    assert (len(executions), len(orders)) == (1, 1)
