"""What came of a signal, as the list of signals shows it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.events import log, topic
from chalicelib.events.models import LoggedEvent
from chalicelib.execution.execute_signal import execute_signal
from chalicelib.orders import store
from chalicelib.orders.models import Instruction
from chalicelib.users.credentials import Kind
from chalicelib.webhooks.delivery import fan_out, ssrf_guard
from functions import receive_signals, serve_api
from testkit import pump, records
from testkit.gateway import call


@pytest.fixture(autouse=True)
def people(emulated: None) -> None:
    """A user with a paper account, and two simulated ones on a strategy."""
    records.add_user("1")
    records.add_account("1", "main")
    for name in ("first", "second"):
        records.add_account("1", name, kind="demo", exchange="binance")
    records.add_strategy("1", accounts={"1-first": {}, "1-second": {}})


def listed(**query: str) -> list[dict[str, Any]]:
    """The user's signals."""
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    status, answer, _ = call(serve_api.app, "GET", "/signals", headers=headers, query=query)
    assert status == 200, answer
    return list(answer["items"])


def send(**body: Any) -> None:
    """A signal that is not waited for."""
    call(
        receive_signals.app,
        "POST",
        "/api/webhook",
        {"token": records.add_token("1"), **body},
        query={"wait": "0"},
    )


def buy(**changes: Any) -> None:
    """A paper signal."""
    send(**{"ticker": "AAPL", "action": "buy", "price": 185.5, "qty": 2, **changes})


def test_outcome_of_one_account() -> None:
    """A signal is accepted until its account has settled, then its outcome and code stand in the list."""
    buy()
    assert [(each["outcome"], each["code"], each["counts"]) for each in listed()] == [("accepted", None, {})]
    pump.execute()
    buy(qty=9_000_000)
    pump.execute()
    refused, filled = listed()
    assert (filled["outcome"], filled["code"], filled["counts"]) == ("filled", None, {"filled": 1})
    assert (refused["outcome"], refused["code"]) == ("refused", "insufficient_funds")


def test_filters() -> None:
    """`outcome` and `code` let their own through, and an outcome that does not exist is refused."""
    buy()
    pump.execute()
    buy(qty=9_000_000)
    pump.execute()
    buy(ticker="MSFT")
    found = {
        outcome: len(listed(outcome=outcome))
        for outcome in ("accepted", "filled", "refused", "partial", "done")
    }
    assert found == {"accepted": 1, "filled": 1, "refused": 1, "partial": 0, "done": 0}
    assert len(listed(code="insufficient_funds")) == 1
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    status, answer, _ = call(
        serve_api.app, "GET", "/signals", headers=headers, query={"outcome": "brilliant"}
    )
    assert (status, answer["code"]) == (400, "invalid_choice")


def test_outcome_of_many_accounts() -> None:
    """Accounts are counted once each, whatever is delivered again, and a mixture is partial."""
    records.set_price("BTCUSDT", "60000")
    send(
        group_name="my_strategy",
        exchange="BINANCE",
        market_type="SPOT",
        currency="USDT",
        symbol="BTCUSDT",
        order_type="MARKET",
        side="buy",
        qty_per=10,
    )
    waiting = [Instruction.model_validate_json(each["Body"]) for each in pump.messages("orders-binance")]
    execute_signal(waiting[0])
    assert listed()[0]["outcome"] == "accepted"
    for instruction in (*waiting, *waiting):
        execute_signal(instruction)
    [signal] = listed()
    assert (signal["outcome"], signal["counts"]) == ("filled", {"filled": 2})
    item = {"signal_id": signal["signal_id"], "leg": "1-first", "outcome": "refused", "code": "internal"}
    store.count_outcome(item)
    assert listed()[0]["counts"] == {"filled": 2}
    store.count_outcome(item | {"leg": "another"})
    mixed = listed()[0]
    assert (mixed["outcome"], mixed["code"]) == ("partial", "internal")


def test_an_administrator_sees_their_own_deliveries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries to the administrators' endpoints stand in a trace for administrators only."""
    monkeypatch.setattr(ssrf_guard, "resolve", lambda *_: [])
    records.add_user("9", role="admin")
    hook = {"name": "all", "url": "https://example.com/", "event_type": "*", "scope": "admin"}
    assert call(serve_api.app, "POST", "/webhooks", hook, headers=records.bearer("9"))[0] == 201
    buy()
    pump.execute()
    pump.publish()
    for event in log.after("admin", 0, 100):
        fan_out.fan_out(LoggedEvent.model_validate_json(topic.message(event)), datetime.now(UTC))
    signal_id = listed()[0]["signal_id"]
    where: dict[str, Any] = {"route": "/signals/{signal_id}", "path_parameters": {"signal_id": signal_id}}
    found = {
        user_id: call(
            serve_api.app, "GET", f"/signals/{signal_id}", headers=records.bearer(user_id), **where
        )[1]["deliveries"]
        for user_id in ("9", "1")
    }
    assert "signal.accepted" in {delivery["event_type"] for delivery in found["9"]}
    assert found["1"] == []
