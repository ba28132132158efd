"""TradingView's manners.

It hangs up after 3 s, and after a 5xx sends the same bytes up to three more times, 5 s apart.
"""

import itertools
import time
from types import SimpleNamespace
from typing import Any

import pytest

from functions import receive_signals
from testkit import gateway, pump, records
from testkit.crash import Killed, killed_after

ALERT = '{"ticker": "AAPL", "action": "buy", "contracts": 100, "price": 185.50}\n'
CALLS = 3  # of acceptance to AWS


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """A user who trades on paper without a token."""
    records.add_user("1", require_token=False)
    records.add_account("1")


def send(monkeypatch: pytest.MonkeyPatch, seconds: float) -> tuple[int, Any, dict[str, str]]:
    """Sends the alert, this many seconds after the first."""
    monkeypatch.setattr(gateway, "time", SimpleNamespace(time=lambda: time.time() - 15 + seconds))
    return gateway.call(
        receive_signals.app,
        "POST",
        "/api/webhook",
        ALERT,
        query={"wait": "0"},
        headers={"Content-Type": "text/plain"},
    )


def trades() -> list[Any]:
    """The orders made, once whatever is queued has been executed."""
    pump.execute()
    return [item["status"] for item in pump.items("orders") if "#" in item["leg"]]


def test_four_sends_with_the_answers_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that never reads the answers, with executions between or after, has one trade."""
    answers = [send(monkeypatch, 5 * number) for number in range(4)]
    assert {answer[0] for answer in answers} == {202}
    assert len({answer[1]["signal_id"] for answer in answers}) == 1
    assert trades() == ["filled"]


def test_four_sends_each_executed_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A duplicate after the fill changes nothing."""
    for number in range(4):
        send(monkeypatch, 5 * number)
        assert trades() == ["filled"]


@pytest.mark.parametrize("deaths", list(itertools.product(range(CALLS + 1), repeat=2)))
def test_killed_at_each_send(deaths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after any of its calls at each of the first two sends, or at none.

    The third is answered: one trade.
    """
    for number, died_after in enumerate(deaths):
        with killed_after(died_after or 99):
            try:
                send(monkeypatch, 5 * number)
            except Killed:
                continue
    status, answer, _ = send(monkeypatch, 10)
    assert status == 202
    assert trades() == ["filled"]
    [stored] = pump.items("signals")
    assert stored["signal_id"] == answer["signal_id"]


def test_a_fault_of_ours_is_a_5xx_and_then_one_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS takes nothing at first.

    The answer is a 503, on which TradingView sends again, and the second send trades.
    """
    from chalicelib import aws
    from chalicelib.errors import Retryable
    from chalicelib.signals import accept

    def busy(_: Any) -> None:
        raise Retryable("another transaction")

    monkeypatch.setattr(accept, "_SAVE_FOR_S", 0.05)
    with monkeypatch.context() as patched:
        patched.setattr(aws, "transact", busy)
        status, answer, headers = send(patched, 0)
    assert (status, answer["code"], headers["Retry-After"]) == (503, "unavailable", "1")
    assert send(monkeypatch, 5)[0] == 202
    assert trades() == ["filled"]
