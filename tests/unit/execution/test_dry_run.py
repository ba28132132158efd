"""The dry run of a signal on accounts with exchange keys.

Its result is a run's result, and it makes no call to the exchange.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.accounts import connections
from chalicelib.exchanges import market_store
from chalicelib.orders import in_flight
from chalicelib.trading import MarketType
from chalicelib.users.credentials import Kind
from functions import serve_api
from infra import stack
from testkit import pump, records
from testkit.gateway import call
from tests.unit.execution.conftest import Live, legs

GROUP = "my_strategy"
CANCEL = {"order_type": "CANCEL_ALL_ORDER", "side": None, "currency": None}


def join(*accounts: Live) -> dict[str, str]:
    """Puts accounts on the strategy; returns the headers its owner asks with."""
    members = {
        each.account_id: {"exchange": each.exchange, "kind": "live", "market_types": [each.market_type.value]}
        for each in accounts
    }
    records.add_strategy("1", GROUP, members)
    return {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}


def look(live: Live) -> str:
    """Reconciles the account now. Returns when that was."""
    in_flight.schedule_account(live.account_id, live.exchange, datetime.now(UTC) - timedelta(hours=1))
    live.follow()
    snapshot = aws.get("snapshots", {"account_id": live.account_id, "at": "latest"})
    assert snapshot
    return str(snapshot["taken_at"])


def price(told: str) -> None:
    """The owner has sent a price of BTCUSDT."""
    records.set_price("BTCUSDT", told, "user#1")


def explain(live: Live, headers: dict[str, str], **more: Any) -> list[dict[str, Any]]:
    """What a group signal to buy at market would do, account by account."""
    signal = {
        "group_name": GROUP,
        "exchange": live.exchange,
        "market_type": live.market_type.value,
        "currency": "USDT",
    }
    given = signal | {"symbol": "BTCUSDT", "order_type": "MARKET", "side": "buy"} | more
    body = {name: value for name, value in given.items() if value is not None}
    status, plan, _ = call(serve_api.app, "POST", "/signals/explain", body, headers=headers)
    assert status == 200, plan
    return plan["accounts"]


def stored() -> dict[str, Any]:
    """Everything in every table, but when a token was used."""
    return {table: pump.items(table) for table in stack.load().source.tables if table != "credentials"}


def test_what_it_says_is_what_a_run_does(live: Live) -> None:
    """Half of the balance: the order that a run then places, with its worth.

    Then the position that closing would take away.
    """
    headers = join(live)
    taken_at = look(live)
    price("50000")
    [account] = explain(live, headers, qty_per=50)
    assert (account["balances_known"], account["balances_at"]) == (True, taken_at)
    [told] = account["orders"]
    live.run("buy", legs=legs("50"))
    [order] = live.order_store()
    assert (told["side"], told["order_type"], Decimal(str(told["quantity"]))) == (
        "buy",
        "market",
        order.quantity,
    )
    assert (account["would_trade"], told["price"]) == (True, 50000)
    assert told["value"] == pytest.approx(float(order.quantity * 50000), abs=0.01)

    assert look(live) > taken_at
    [account] = explain(live, headers, side="close")
    held = Decimal(str(account["quantity"]))
    live.run("close")
    assert (held, len(live.there())) == (live.order_store()[-1].quantity, 2)


def test_it_says_where_the_exits_would_stand(live: Live) -> None:
    """By the expected price, because the fill that they are measured from is not known yet."""
    headers = join(live)
    look(live)
    price("50000")
    exits = {
        "stop_loss": "2%",
        "take_profits": [{"distance": 1000, "share": 50}, {"price": 60000, "share": 50}],
    }
    [account] = explain(live, headers, qty_per=50, **exits)
    [order] = account["orders"]
    told = [(each["kind"], each["stop_price"], each["measured_from"]) for each in order["exits"]]
    stop = ("stop_loss", 49000, "average_fill")
    assert told == [
        stop,
        ("take_profit", 51000, "average_fill"),
        stop,
        ("take_profit", 60000, None),
    ]
    assert sum(each["quantity"] for each in order["exits"] if each["kind"] == "stop_loss") == pytest.approx(
        order["quantity"]
    )
    [plain] = explain(live, headers, qty_per=50)
    assert plain["orders"][0]["exits"] == []


def test_no_exchange_hears_of_it_and_nothing_is_written(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry, an exit and a cancel.

    No request reaches the exchange, no key is opened and no table changes.
    """
    headers = join(live)
    look(live)
    live.limit("49000", group_name=GROUP)
    monkeypatch.setattr(connections, "_open", None)
    price("50000")
    asked, before, there = live.simulator.requests(), stored(), live.there()
    told = [explain(live, headers, **more)[0] for more in ({"qty_per": 50}, {"side": "close"}, CANCEL)]
    assert [account["balances_known"] for account in told] == [True, True, True]
    assert (told[0]["would_trade"], told[2]["would_cancel"]) == (True, 1)
    assert live.simulator.requests() == asked
    assert (stored(), live.there()) == (before, there)


def test_the_rule_that_refuses_and_the_nearest_value_that_would_do(live: Live) -> None:
    """Too little for the exchange.

    As code and sentence, and the quantity from which on it would take the order.
    """
    headers = join(live)
    look(live)
    price("50000")
    [account] = explain(live, headers, qty_per="0.0001")
    assert (account["would_trade"], account["orders"]) == (False, [])
    assert account["code"].startswith("below_minimum")
    nearest = Decimal(str(account["nearest"]))
    assert nearest > 0
    assert nearest % Decimal(str(account["quantity_step"])) == 0
    assert nearest * 50000 >= Decimal(str(account["minimum_notional"] or 0))


def test_the_price_is_the_one_told_else_what_the_snapshot_implies(live: Live) -> None:
    """Without a sent price, the snapshot's valuation or the position's profit gives the price.

    A close needs none.
    """
    headers = join(live)
    look(live)
    spot = live.market_type is MarketType.SPOT
    [account] = explain(live, headers, qty_per=10)
    assert account.get("code") == (None if spot else "no_price")
    live.run("buy", quantity=Decimal(1))
    live.simulator.price("BTCUSDT", "60000", exchange=live.exchange, market=live.market_type.value)
    look(live)
    assert explain(live, headers, qty_per=10)[0]["price"] == pytest.approx(60000)
    assert explain(live, headers, side="close")[0]["would_trade"] is True
    price("61000")
    assert explain(live, headers, qty_per=10)[0]["price"] == 61000


def test_an_account_never_looked_at_and_the_rules_that_need_no_look(live: Live) -> None:
    """Without a snapshot the balances are unknown, and so is whether the signal would trade.

    A refusal that does not depend on them is reported.
    """
    headers = join(live)
    price("50000")

    def told(**more: Any) -> tuple[bool, bool | None, str]:
        [account] = explain(live, headers, **more)
        assert account["balances_at"] is None
        assert account["error"]
        return account["balances_known"], account["would_trade"], account["code"]

    for given in ({"qty_per": 50}, {"side": "close"}, {"side": "sell", "qty_per": 50}):
        assert told(**given) == (False, None, "no_snapshot_yet")
    assert told(qty_per=50, symbol="DOGEUSDT") == (False, False, "symbol_unknown")
    records.halt(f"account#{live.account_id}")
    assert told(qty_per=50) == (False, None, "halted")
    assert told(side="close") == (False, None, "no_snapshot_yet")


def test_rules_of_size_without_a_look(open_account) -> None:
    """A signal with an amount is checked against minimum and owner's limit without a balance."""
    live = open_account()
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    price("50000")
    signal = {
        "exchange": live.exchange,
        "market_type": "SPOT",
        "symbol": "BTCUSDT",
        "side": "buy",
        "demo": "NO",
    }

    def told(quantity: str) -> tuple[bool | None, str]:
        body = signal | {"quantity": quantity}
        _, plan, _ = call(
            serve_api.app, "POST", "/signals/explain", body, headers=headers, query={"variant": "xc"}
        )
        [account] = plan["accounts"]
        return account["would_trade"], account["code"]

    assert told("0.1") == (None, "no_snapshot_yet")
    assert told("0.00001") == (None, "below_minimum_notional")
    aws.write(aws.put_write("risk", {"scope": "user#1", "rules": {"max_order_notional": Decimal(1000)}}))
    assert told("0.1") == (None, "above_max_order")


def test_an_exchange_whose_instruments_were_never_fetched(open_account) -> None:
    """What may be traded is not known either."""
    live = open_account()
    headers = join(live)
    look(live)
    price("50000")
    aws.write(
        aws.delete_write(
            "markets", {"listing": f"{market_store.venue('binance', MarketType.SPOT, demo=False)}#"}
        )
    )
    market_store.forget()
    [account] = explain(live, headers, qty_per=50)
    assert (account["would_trade"], account["code"]) == (None, "no_snapshot_yet")


def test_an_account_without_keys(open_account) -> None:
    """The account is refused for that; a second one would trade."""
    live, keyless = open_account(), open_account()
    aws.write(aws.update_write("accounts", {"account_id": keyless.account_id}, "REMOVE sealed_keys"))
    look(live)
    told = {
        each["account_id"]: (each["would_trade"], each.get("code"))
        for each in explain(live, join(live, keyless), qty_per=50)
    }
    assert told == {live.account_id: (True, None), keyless.account_id: (False, "exchange_key_missing")}


def test_a_batch_is_held_against_what_its_first_orders_leave(open_account) -> None:
    """Two limit orders of 80 % each: the second is more than the first leaves."""
    live = open_account()
    look(live)
    orders = [{"price": 50000, "qty_per": 80}, {"price": 49000, "qty_per": 80}]
    [account] = explain(live, join(live), order_type="LIMIT", orders=orders)
    assert [order["status"] for order in account["orders"]] == ["open"]
    assert [(refused["leg"], refused["code"]) for refused in account["refused"]] == [
        ("1", "insufficient_funds")
    ]


def test_balances_of_the_market_alone_count(open_account) -> None:
    """Binance keeps spot and futures apart, and so does the snapshot."""
    live = open_account(balances={"spot": {"USDT": "1000"}, "futures": {"USDT": "50000"}})
    aws.write(
        aws.update_write(
            "accounts", {"account_id": live.account_id}, "SET market_types = :both", both=["spot", "futures"]
        )
    )
    look(live)
    price("50000")
    [account] = explain(live, join(live), qty_per=100)
    assert 990 < account["orders"][0]["value"] <= 1000


def test_a_cancel_needs_no_look(open_account) -> None:
    """Open orders stand in the ledger, whatever is known of balances."""
    live = open_account()
    live.limit("49000", group_name=GROUP)
    [account] = explain(live, join(live), **CANCEL)
    assert (account["would_cancel"], account["would_trade"], "code" in account) == (1, False, False)
