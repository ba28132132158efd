"""`DELETE /orders/{order_id}` cancels one resting order and answers what happened."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.execution import execute_signal as executing
from chalicelib.orders import store
from chalicelib.orders.models import Instruction, PriceUpdate
from chalicelib.signals import cancel_order
from chalicelib.trading import Action, MarketType, OrderType, Symbol
from testkit import pump, records
from testkit.api import Api, trail

D = Decimal
ONE = "/orders/{order_id}"
BTC = Symbol(raw="BTCUSDT", base="BTC", quote="USDT")
_ids = iter(range(10**6))


@pytest.fixture(autouse=True)
def account(api: Api) -> None:
    """A paper account of user 7."""
    records.add_account("7", "main", slippage_bps=D(0), commission_bps=D(0))


def rest(price: str = "40000", action: str = "buy", **more: Any) -> str:
    """Places a limit order and returns its id."""
    signal_id = f"c{next(_ids)}"
    executing.execute_signal(
        Instruction(
            signal_id=signal_id,
            user_id="7",
            account_id="7-main",
            exchange="paper",
            variant="group",
            action=Action(action),
            symbol=BTC,
            price=D(price),
            received_at=datetime.now(UTC),
            max_age_s=60,
            single_account=False,
            simulated=True,
            **{
                "market_type": MarketType.FUTURES,
                "order_type": OrderType.LIMIT,
                "quantity": D("0.1"),
                **more,
            },
        )
    )
    return f"{signal_id}-7-main-0"


def see(price: str) -> None:
    """Shows the account a price."""
    executing.on_price(
        PriceUpdate(
            update_id=price,
            account_id="7-main",
            exchange="paper",
            symbol="BTCUSDT",
            price=D(price),
            at=datetime.now(UTC),
        )
    )


def cancel(api: Api, order_id: str, who: str = "7", wait: str = "0") -> tuple[int, Any]:
    return api(who, "DELETE", ONE, query={"wait": wait}, order_id=order_id)


def statuses() -> dict[str, str]:
    found = (store.order_from_item(item) for item in pump.items("orders") if "#" in item["leg"])
    return {order.order_id: order.status.value for order in found}


def requested() -> list[dict[str, Any]]:
    """The audit entries of cancels."""
    return [entry for entry in trail() if entry["action"] == "order.cancel_requested"]


def working(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the worker run while the API waits."""
    monkeypatch.setattr(cancel_order, "sleep", lambda _: beside(pump.execute))


def beside(do: Callable[[], object]) -> None:
    """Runs something as another function than the API, with that function's grants."""
    thread = Thread(target=do)
    thread.start()
    thread.join()


def test_a_cancel_within_the_wait(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the cancelled order; the other order of the account stays."""
    working(monkeypatch)
    gone, stays = rest(), rest("41000")
    status, answer = cancel(api, gone, wait="5")
    assert (status, answer["order_id"], answer["status"], answer["code"]) == (200, gone, "cancelled", None)
    assert statuses() == {gone: "cancelled", stays: "open"}
    assert [item["type"] for item in pump.items("outbox")].count("order.cancelled") == 1


def test_a_queued_cancel_and_its_repetition(api: Api) -> None:
    """202 at first. Asking again is the same cancel: one audit entry; afterwards the cancelled order."""
    order_id = rest()
    for _ in range(2):
        status, answer = cancel(api, order_id)
        assert (status, answer["status"], answer["order_id"]) == (202, "accepted", order_id)
        assert answer["status_url"].endswith(f"/orders/{order_id}")
    assert statuses()[order_id] == "open"
    assert len(pump.execute()) == 1
    assert cancel(api, order_id)[0] == 200
    [entry] = requested()
    assert (entry["by"], entry["entity"], entry["user_id"]) == ("7", f"order#{order_id}", "7")


def test_an_order_that_has_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filled order is a 409, also where it fills while the cancel waits."""
    order_id = rest()
    see("39000")
    status, answer = cancel(api, order_id)
    assert (status, answer["code"]) == (409, "order_ended")
    assert "filled" in answer["error"]
    late = rest()
    monkeypatch.setattr(cancel_order, "sleep", lambda _: beside(lambda: see("39000")))
    assert cancel(api, late, wait="5")[1]["code"] == "order_ended"


@pytest.mark.parametrize("odd", ["nothing", "a-b", "a-7-main-7", "x" * 129, "--"])
def test_an_unknown_or_foreign_order(api: Api, odd: str) -> None:
    """404, and nothing is queued or noted."""
    assert cancel(api, odd)[0] == 404
    order_id = rest()
    assert cancel(api, order_id, who="8")[0] == 404
    assert (pump.bodies("orders-paper"), requested()) == ([], [])


def test_an_admin_cancels_for_an_inactive_user(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a deactivated user nor a paused account keeps an order open."""
    working(monkeypatch)
    order_id = rest()
    profile = {"user_id": "7", "part": "profile"}
    for table, key in (("users", profile), ("accounts", {"account_id": "7-main"})):
        aws.write(aws.put_write(table, {**(aws.get(table, key) or {}), "is_active": False}))
    assert cancel(api, order_id, who="1", wait="5")[0] == 200


def test_a_cancelled_entry_is_protected_no_further(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop-loss and take-profit of an entry end with it: they are never placed."""
    working(monkeypatch)
    order_id = rest(stop_loss=D(30000), take_profit=D(60000))
    assert cancel(api, order_id, wait="5")[0] == 200
    see("39000")
    assert statuses() == {order_id: "cancelled"}


def test_an_exit_is_cancelled_alone(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A protective order is an order: its owner may cancel it, and its sibling stays."""
    working(monkeypatch)
    order_id = rest(stop_loss=D(30000), take_profit=D(60000))
    see("39000")
    assert cancel(api, f"{order_id}.tp", wait="5")[0] == 200
    assert statuses() == {order_id: "filled", f"{order_id}.tp": "cancelled", f"{order_id}.sl": "open"}


def test_a_cancel_that_the_account_refuses(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the answer. The next request tries again."""
    order_id = rest()
    monkeypatch.setattr(executing.PaperExecution, "cancel", lambda *_: False)
    working(monkeypatch)
    status, answer = cancel(api, order_id, wait="5")
    assert (status, answer["code"]) == (422, "order_not_cancelled")
    monkeypatch.undo()
    working(monkeypatch)
    assert cancel(api, order_id, wait="5")[0] == 200
    assert len(requested()) == 2


def test_a_trade_token_suffices(api: Api) -> None:
    """Scope `trade`."""
    order_id = rest()
    for scope, expected in (("read", 403), ("trade", 202)):
        made = api("7", "POST", "/users/{user_id}/tokens", {"kind": "api", "scope": scope}, user_id=7)[1]
        assert cancel(api, order_id, who=made["token"])[0] == expected
