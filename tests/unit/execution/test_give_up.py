"""A signal that cannot be computed is settled at once.

One that a fault in the code ends does not hold up its account.
"""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.errors import OutcomeUnknown, Retryable
from chalicelib.execution import execute_signal as executing
from chalicelib.execution.paper import PaperExecution
from chalicelib.orders import queue, store
from chalicelib.orders.models import Instruction
from chalicelib.trading import Leg, MarketType, OrderType
from functions import execute_orders
from testkit import pump
from testkit.gateway import CONTEXT, queue_event
from tests.unit.execution.test_paper_exits import cloud, market_type, order_store, run, signal

__all__ = ["cloud", "market_type"]
D = Decimal


@pytest.mark.parametrize("stop_loss", ["49000", "49001"])
def test_a_risk_without_a_distance_is_refused(market_type: MarketType, stop_loss: str) -> None:
    """The distance to the stop-loss is zero or on the wrong side.

    Refused before anything is divided by it.
    """
    legs = (Leg(percent=D(10), price=D(49000)),)
    more: dict[str, Any] = {"order_type": OrderType.LIMIT, "price": None, "legs": legs}
    execution = run("buy", market_type, stop_loss=D(stop_loss), risk_percent=D(1), **more)
    assert [leg.code for leg in execution.refused] == ["exit_on_wrong_side"]
    assert not order_store()


def test_what_cannot_be_computed_is_settled_at_once(
    market_type: MarketType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An arithmetic fault in the middle leaves nothing behind, is settled by the first delivery, and the next
    signal runs.
    """
    place = PaperExecution.place

    def faulty(client: PaperExecution, *of: Any, **more: Any) -> Any:
        place(client, *of, **more)
        return D(1) / D(0)

    monkeypatch.setattr(PaperExecution, "place", faulty)
    assert [(leg.code, leg.status) for leg in run("buy", market_type).refused] == [("internal", 500)]
    assert not order_store()
    monkeypatch.setattr(PaperExecution, "place", place)
    assert not run("buy", market_type).refused


def _delivered(instruction: Instruction, times: int) -> list[bool]:
    """Whether each delivery of the message failed."""
    queue.send_messages([instruction])
    [message] = pump.messages("orders-paper")
    event = queue_event([message])
    found = []
    for receives in range(1, times + 1):
        event["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(receives)
        found.append(bool(execute_orders.handler(event, CONTEXT)["batchItemFailures"]))
    return found


def test_a_fault_in_the_code_ends_after_three_receives(
    market_type: MarketType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The signal is settled as refused, its owner has the event, and an alarm counts it."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("quantity")

    monkeypatch.setattr(executing, "_carry_out", broken)
    instruction = signal("buy", market_type)
    assert _delivered(instruction, 3) == [True, True, False]
    [execution] = store.results_of(instruction.signal_id)[0]
    assert [(leg.code, leg.status) for leg in execution.refused] == [("internal", 500)]
    assert [item["type"] for item in pump.items("outbox")] == ["signal.refused"]
    assert capsys.readouterr().out.count('"ExecutionsGivenUp":') == 1


@pytest.mark.parametrize("fault", [Retryable("busy"), OutcomeUnknown("lost")])
def test_passing_faults_are_tried_again(
    market_type: MarketType, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """What may have been done, or can be done later, is never settled as refused."""

    def busy(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(executing, "_carry_out", busy)
    monkeypatch.setattr(executing, "_TRIES", 1)
    instruction = signal("buy", market_type)
    assert _delivered(instruction, 5) == [True] * 5
    assert not store.is_settled(instruction.signal_id, instruction.account_id)
