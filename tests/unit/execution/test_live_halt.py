"""At an exchange: a refused sale leaves the exits, and a halt cancels what would open."""

from decimal import Decimal

import pytest

from chalicelib.execution import queue_flatten
from chalicelib.execution.flatten import close_all
from chalicelib.orders.models import Flatten
from chalicelib.risk import halts, update_rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.trading import MarketType
from testkit import pump

D = Decimal
USER = Switch(Scope.USER, "1", "1")


def statuses(live) -> dict[str, str]:
    return {f"{order.leg}.{order.number}": order.status.value for order in live.order_store()}


@pytest.mark.parametrize(
    ("quantity", "code"), [(D(50), "insufficient_holdings"), (D("0.0000001"), "below_minimum")]
)
def test_a_refused_sale_leaves_the_exits(open_account, unlimited, quantity: D, code: str) -> None:
    """The quantity in the exits counts as held, so that the size is known before they are cancelled."""
    live = open_account("binance", MarketType.SPOT)
    live.run("buy", stop_loss=D(45000))
    before = statuses(live)
    assert [leg.code for leg in live.run("sell", quantity=quantity).refused] == [code]
    assert statuses(live) == before
    assert not live.run("sell").refused


@pytest.mark.parametrize("keep", [False, True])
def test_a_halt_cancels_resting_entries(open_account, unlimited, keep: bool) -> None:
    """Exits stay; with the rule set to false, everything does."""
    live = open_account("bybit", MarketType.FUTURES)
    live.run("buy", stop_loss=D(45000))
    live.limit()
    if keep:
        update_rules.update_rules(USER, {"cancel_on_halt": False}, by="1", admin=False)
    message = Flatten(
        flatten_id="halt",
        user_id="1",
        account_id=live.account_id,
        exchange="bybit",
        entries_only=True,
        at="2026-01-01T00:00:00Z",
    )
    close_all(message, 20)
    assert [order.status for order in live.order_store()] == ["filled", "open", "open"], "not halted"
    shown = halts.set_switch(USER, halted=True, by="1")
    queue_flatten.cancel_entries(USER, shown["at"])
    queued = [body for body in pump.bodies("orders-bybit") if body.get("entries_only")]
    assert [body["account_id"] for body in queued] == [live.account_id]
    close_all(Flatten.model_validate(queued[0]), 20)
    assert [order.status for order in live.order_store()] == [
        "filled",
        "open",
        "open" if keep else "cancelled",
    ]
    assert [order.code for order in live.order_store()][2] == (None if keep else "halted")
