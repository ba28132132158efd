"""What came of a signal, as the list of signals shows it."""

from typing import Any

import pytest

from chalicelib.execution.execute_signal import execute_signal
from chalicelib.orders import store
from chalicelib.orders.models import Instruction
from chalicelib.users.credentials import Kind
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
