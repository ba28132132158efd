"""The dry run of a signal on accounts with exchange keys: what it says is what a run does, and nothing comes of it."""

import time
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.exchanges.limiter import limits_of
from chalicelib.orders import dry_desk
from chalicelib.signals import explain as explaining
from chalicelib.trading import MarketType
from chalicelib.users.credentials import Kind
from functions import explain_signals
from infra import stack
from tests.support import pump, records
from tests.support.gateway import call
from tests.support.serial import one_call_at_a_time
from tests.unit.orders.conftest import Live, legs

GROUP = "my_strategy"
PLACING = {"POST", "PUT", "DELETE"}


def join(*accounts: Live) -> dict[str, str]:
    """Puts accounts on the strategy; returns the headers its owner asks with."""
    members = {each.account_id: {"exchange": each.exchange, "kind": "live", "market_types": [each.market_type.value]} for each in accounts}
    records.add_strategy("1", GROUP, members)
    return {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}


def explain(live: Live, headers: dict[str, str], **more: Any) -> list[dict[str, Any]]:
    """What a group signal to buy at market would do, account by account."""
    signal = {"group_name": GROUP, "exchange": live.exchange, "market_type": live.market_type.value, "currency": "USDT"}
    given = signal | {"symbol": "BTCUSDT", "order_type": "MARKET", "side": "buy"} | more
    body = {name: value for name, value in given.items() if value is not None}
    with one_call_at_a_time():
        status, plan, _ = call(explain_signals.app, "POST", "/signals/explain", body, headers=headers)
    assert status == 200, plan
    return plan["accounts"]


def stored() -> dict[str, Any]:
    """Everything in every table but the limits, and when a token was used."""
    return {table: pump.items(table) for table in stack.load().source.tables if table not in {"limits", "credentials"}}


def test_what_it_says_is_what_a_run_does(live: Live) -> None:
    """Half of the balance: the order that a run then places, with its worth. Until that run nothing is placed or written."""
    headers = join(live)
    before = stored()
    [account] = explain(live, headers, qty_per=50)
    assert (stored(), live.there()) == (before, [])
    assert not [each for each in live.simulator.requests() if each["method"] in PLACING]
    [told] = account["orders"]
    live.run("buy", legs=legs("50"))
    [order] = live.ledger()
    assert (told["side"], told["order_type"], Decimal(str(told["quantity"]))) == ("buy", "market", order.quantity)
    assert (account["would_trade"], told["price"]) == (True, 50000)
    assert told["value"] == pytest.approx(float(order.quantity * 50000), abs=0.01)
    [account] = explain(live, headers, side="close")
    held = order.filled + (2 if live.market_type is MarketType.SPOT else 0)
    assert account["quantity"] == pytest.approx(float(held), abs=0.002)  # a fee may have been taken from it
    assert len(live.there()) == 1


def test_the_rule_that_refuses_and_the_nearest_value_that_would_do(live: Live) -> None:
    """Too little for the exchange: as code and sentence, and the quantity from which on it would take the order."""
    headers = join(live)
    [account] = explain(live, headers, qty_per="0.0001")
    assert (account["would_trade"], account["orders"]) == (False, [])
    assert account["code"].startswith("below_minimum")
    nearest = Decimal(str(account["nearest"]))
    assert nearest > 0
    assert nearest % Decimal(str(account["quantity_step"])) == 0
    assert nearest * 50000 >= Decimal(str(account["minimum_notional"] or 0))


def test_limits_are_booked_for_the_reads_alone(live: Live) -> None:
    """No tokens are leased for calls that never come, and none are taken for an order."""
    limits = limits_of(live.exchange, live.market_type)
    headers = join(live)
    began = time.time()
    explain(live, headers, qty_per=50)
    [bucket] = pump.items("limits")
    booked_s = int(bucket["booked_until"]) / 1e6 - began
    reads = 1 + limits.heavy * (2 if live.market_type is MarketType.FUTURES else 1)  # price; balances, and on futures positions
    assert "#address#" in bucket["bucket"]
    assert booked_s <= reads / limits.weight.per_s + (time.time() - began)


def test_a_batch_is_held_against_what_its_first_orders_leave(open_account) -> None:
    """Two limit orders of 80 % each: the second is more than the first leaves."""
    live = open_account()
    orders = [{"price": 50000, "qty_per": 80}, {"price": 49000, "qty_per": 80}]
    [account] = explain(live, join(live), order_type="LIMIT", orders=orders)
    assert [order["status"] for order in account["orders"]] == ["open"]
    assert [(refused["leg"], refused["code"]) for refused in account["refused"]] == [("1", "insufficient_funds")]


def test_a_cancel_counts_and_cancels_nothing(open_account) -> None:
    """What is open is counted, and stays."""
    live = open_account()
    live.limit("49000", group_name=GROUP)
    [account] = explain(live, join(live), order_type="CANCEL_ALL_ORDER", side=None, currency=None)
    assert account["would_cancel"] == 1
    assert [each["status"] for each in live.there()] == ["open"]


def test_one_account_that_cannot_be_asked_spoils_no_other(open_account, monkeypatch: pytest.MonkeyPatch) -> None:
    """One exchange key is refused, one cannot be decrypted, one account gets no answer: each is told; the others are explained."""
    monkeypatch.setattr(explaining, "_ACCOUNT_S", 0.6)
    monkeypatch.setattr(dry_desk, "CALL_TIMEOUT_S", (0.3, 0.3))
    good, silent, refused, unreadable, last = (open_account() for _ in range(5))
    for key, kind in ((silent, "timeout"), (refused, "500")):
        key.simulator.fault(exchange=key.exchange, api_key=key.credentials.api_key, kind=kind, when="before", times=-1)
    aws.write(aws.update("accounts", {"account_id": unreadable.account_id}, "SET sealed_keys = :other", other=good_box(good.account_id)))
    began = time.monotonic()
    told = {each["account_id"]: each for each in explain(good, join(good, silent, refused, unreadable, last), qty_per=50)}
    assert time.monotonic() - began < 10
    assert [told[each.account_id]["would_trade"] for each in (good, last)] == [True, True]
    assert [told[each.account_id]["code"] for each in (silent, refused)] == ["exchange_unavailable", "exchange_unavailable"]
    assert [told[each.account_id]["would_trade"] for each in (silent, refused)] == [None, None]
    assert told[unreadable.account_id]["code"] == "exchange_key_unreadable"


def good_box(account_id: str) -> str:
    """The sealed keys of an account, which open for no other."""
    item = aws.get("accounts", {"account_id": account_id})
    assert item
    return str(item["sealed_keys"])
