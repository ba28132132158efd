"""Rules and halts hold for orders that wait on simulated accounts, by whatever they are filled.

Docs/risk.md has the same table.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.execution import execute_signal as executing
from chalicelib.execution import queue_flatten
from chalicelib.orders import store
from chalicelib.orders.models import AccountResult, Instruction, Order, PriceUpdate
from chalicelib.risk import halts, update_rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.trading import Action, MarketType, OrderType, Symbol
from chalicelib.users.store import LISTED
from functions import sweep
from testkit import pump, records
from testkit.crash import killed_after
from testkit.gateway import CONTEXT

D = Decimal
GLOBAL, USER = Switch(Scope.GLOBAL), Switch(Scope.USER, "1", "1")
ACCOUNT, A, B = (
    Switch(Scope.ACCOUNT, "1-main", "1"),
    Switch(Scope.STRATEGY, "1", "1", "a"),
    Switch(Scope.STRATEGY, "2", "1", "b"),
)
BTC = Symbol(raw="BTCUSDT", base="BTC", quote="USDT")
ETH = Symbol(raw="ETHUSDT", base="ETH", quote="USDT")


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """A user with one paper account without costs, and two strategies on it."""
    records.add_user("1")
    profile = aws.get("users", {"user_id": "1", "part": "profile"}) or {}
    aws.write(aws.put_write("users", profile | {"listed": LISTED, "created_at": "2026-01-01T00:00:00+00:00"}))
    records.add_account("1", "main", slippage_bps=D(0), commission_bps=D(0))
    for number, name in enumerate("ab", 1):
        records.add_strategy(
            group_name=name, strategy_id=str(number), accounts={"1-main": {"exchange": "paper"}}
        )


_ids = iter(range(10**6))


def send(
    action: str, price: str | None = "50000", group: str | None = None, symbol: Symbol = BTC, **more: Any
) -> AccountResult:
    """A signal, executed."""
    sized = {} if action == "close" or "legs" in more else {"quantity": D("0.1")}
    limits = {"order_type": OrderType.LIMIT} if more.pop("limit", False) else {}
    instruction = Instruction(
        signal_id=f"r{next(_ids)}",
        user_id="1",
        account_id="1-main",
        exchange="paper",
        variant="group",
        action=Action(action),
        received_at=datetime.now(UTC),
        max_age_s=60,
        single_account=False,
        **{"market_type": MarketType.FUTURES, "simulated": True, "leverage": 10, **sized, **limits, **more},
        symbol=symbol,
        price=None if price is None else D(price),
        group_name=group,
    )
    executing.execute_signal(instruction)
    return store.results_of(instruction.signal_id)[0][0]


def see(price: str, symbol: str = "BTCUSDT", account_id: str = "1-main") -> None:
    at = datetime.now(UTC)
    executing.on_price(
        PriceUpdate(
            update_id=price, account_id=account_id, exchange="paper", symbol=symbol, price=D(price), at=at
        )
    )


def orders() -> dict[str, Order]:
    """The orders in the store, by symbol and leg; the newest of each."""
    found = sorted(
        (store.order_from_item(item) for item in pump.items("orders") if "#" in item["leg"]),
        key=lambda order: order.number,
    )
    return {f"{order.symbol}.{order.leg}": order for order in found}


def held() -> dict[str, Decimal]:
    return {
        item["item"]: item["quantity"]
        for item in pump.items("portfolios")
        if item["item"].startswith(("asset", "position"))
    }


def halted(switch: Switch) -> bool:
    return bool((aws.get("risk", switch.key) or {}).get("halted"))


def rule(about: Switch, **rules: Any) -> None:
    update_rules.update_rules(about, rules, by="1", admin=False)


# Halts


@pytest.mark.parametrize("switch", [GLOBAL, USER, ACCOUNT, A], ids=lambda switch: switch.scope.value)
@pytest.mark.parametrize(
    "order",
    [{"limit": True, "price": "40000"}, {"order_type": OrderType.STOP_MARKET, "stop_price": D(60000)}],
)
def test_a_resting_entry_does_not_fill_during_a_halt(switch: Switch, order: dict[str, Any]) -> None:
    """Set in the very moment before the price: no message has cancelled the order yet."""
    send("buy", "50000", "a")
    send("buy", **{"price": "50000", "group": "a", **order})
    halts.set_switch(switch, halted=True, by="1")
    see("40000" if "limit" in order else "60000")
    assert held() == {"position#BTCUSDT": D("0.1")}
    assert (orders()["BTCUSDT.0"].status, orders()["BTCUSDT.0"].code) == ("cancelled", "halted")


def test_another_strategys_halt_holds_nothing_back() -> None:
    """A halt of a strategy is about its own orders."""
    send("buy", "40000", "b", limit=True)
    halts.set_switch(A, halted=True, by="1")
    see("39000")
    assert held() == {"position#BTCUSDT": D("0.1")}


@pytest.mark.parametrize("record", ["users", "accounts"])
def test_a_resting_entry_of_somebody_inactive(record: str) -> None:
    """What permitted the order must still hold."""
    send("buy", "40000", limit=True)
    key = {"user_id": "1", "part": "profile"} if record == "users" else {"account_id": "1-main"}
    aws.write(aws.put_write(record, {**(aws.get(record, key) or {}), "is_active": False}))
    see("39000")
    assert held() == {}
    assert orders()["BTCUSDT.0"].code == ("user_not_active" if record == "users" else "account_not_found")


@pytest.mark.parametrize("switch", [GLOBAL, USER, ACCOUNT, A], ids=lambda switch: switch.scope.value)
@pytest.mark.parametrize("keep", [False, True])
def test_a_halt_cancels_resting_entries(switch: Switch, keep: bool) -> None:
    """Exits and reducing orders stay, and so does everything where a rule says so."""
    send("buy", "50000", "a", stop_loss=D(45000))
    send("sell", "60000", "a", limit=True)
    send("buy", "3000", "a", symbol=ETH, limit=True)
    if keep:
        rule(A if switch is A else USER, cancel_on_halt=False)
    shown = halts.set_switch(switch, halted=True, by="1")
    queue_flatten.cancel_entries(switch, shown["at"])
    sweep.handler({}, CONTEXT)
    pump.execute()
    entry = orders()["ETHUSDT.0"]
    assert (entry.status, entry.code) == (("open", None) if keep else ("cancelled", "halted"))
    assert [orders()[name].status for name in ("BTCUSDT.0.sl", "BTCUSDT.0")] == ["open", "open"]
    if keep:
        see("2900", "ETHUSDT")
        assert orders()["ETHUSDT.0"].status == "filled"


def test_a_halt_that_is_lifted_in_time_cancels_nothing() -> None:
    """The message is late."""
    send("buy", "40000", limit=True)
    shown = halts.set_switch(USER, halted=True, by="1")
    queue_flatten.cancel_entries(USER, shown["at"])
    halts.set_switch(USER, halted=False, by="1")
    pump.execute()
    assert orders()["BTCUSDT.0"].status == "open"


def test_a_daily_loss_cancels_resting_entries() -> None:
    """A rule's halt is a halt."""
    rule(USER, max_daily_loss=D(100))
    send("buy", "3000", symbol=ETH, limit=True)
    send("buy", "50000")
    send("close", "48000")
    pump.execute()
    assert halted(USER)
    assert orders()["ETHUSDT.0"].code == "halted"


# Losses


@pytest.mark.parametrize("by", ["another's signal", "a price", "a signal of none"])
def test_a_strategys_loss_counts_whoever_causes_the_fill(by: str) -> None:
    """The price that triggers its stop may come with another user's signal."""
    rule(A, max_daily_loss=D(500))
    send("buy", "50000", "a", stop_loss=D(45000))
    if by == "a price":
        see("44000")
    else:
        send("buy", "44000", "b" if by.startswith("another") else None, quantity=D("0.01"))
    assert halted(A)
    assert not halted(B)
    assert [leg.code for leg in send("buy", "44000", "a").refused] == ["halted"]


def test_a_liquidation_counts_for_the_strategy_it_hits() -> None:
    """What the other strategy's signal brings down is the owner's loss."""
    rule(A, max_daily_loss=D(500))
    send("buy", "50000", "a", quantity=D(19))
    send("buy", "1000", "b", symbol=ETH, quantity=D("0.001"))
    send("sell", "44000", "b", quantity=D("0.001"))
    assert orders()["BTCUSDT.close"].code == "liquidated"
    assert orders()["BTCUSDT.close"].group_name == "a"
    assert halted(A)


def test_a_strategys_flatten_leaves_the_others_alone() -> None:
    """Its own share of a common position is closed, with its own stops."""
    rule(A, max_daily_loss=D(100), flatten=True)
    send("buy", "3000", "b", symbol=ETH, quantity=D(1), stop_loss=D(2000))
    send("buy", "50000", "b", stop_loss=D(30000))
    send("buy", "50000", "a", quantity=D("0.2"), stop_loss=D(29000))
    send("sell", "48000", "a", quantity=D("0.1"))
    assert halted(A)
    pump.execute()
    assert held() == {"position#BTCUSDT": D("0.1"), "position#ETHUSDT": D(1)}
    stops = sorted(
        str(order.stop_price)
        for order in map(store.order_from_item, (i for i in pump.items("orders") if "#" in i["leg"]))
        if order.status == "open"
    )
    assert stops == ["2000", "30000"]


@pytest.mark.parametrize("existing_orders", [False, True])
def test_losses_in_another_currency_are_converted(existing_orders: bool) -> None:
    """Two bitcoins are not two dollars. Without a price of the currency nothing opens under the rule."""
    records.add_account(
        "1", "main", currency="BTC", starting_cash=D(10), slippage_bps=D(0), commission_bps=D(0)
    )
    symbol = Symbol(raw="ETHBTC", base="ETH", quote="BTC")
    rule(USER, max_daily_loss=D(500))
    if existing_orders:
        records.set_price("BTCUSDT", "50000")
    execution = send("buy", "0.05", symbol=symbol, quantity=D(1))
    assert [leg.code for leg in execution.refused] == ([] if existing_orders else ["rule_cannot_count"])
    if existing_orders:
        send("close", "0.045", symbol=symbol)
        assert not halted(USER), "0.005 BTC are 250 dollars"
        send("buy", "0.045", symbol=symbol, quantity=D(1))
        send("close", "0.04", symbol=symbol)
        assert halted(USER)


# Cost


def test_five_calls_whatever_the_account_holds() -> None:
    """Prices of other holdings and rules of other strategies are read with everything else."""
    rule(USER, max_daily_loss=D(10**6), max_position_notional=D(10**6))
    send("buy", "50000", "a", stop_loss=D(45000))
    send("buy", "3000", "b", symbol=ETH, stop_loss=D(2000))
    send("buy", "150", symbol=Symbol(raw="AAPL", base="AAPL"), market_type=MarketType.SPOT)
    with killed_after(99) as made:
        send("buy", "44000", "b", quantity=D("0.01"))
    assert orders()["BTCUSDT.0.sl"].status == "filled"
    assert len(made) - 1 <= 5, made  # the last call is this test's own query of the signal


# Size at the fill


def test_a_stop_that_gaps_is_measured_at_the_fill() -> None:
    """It was small enough where it was to trigger."""
    rule(USER, max_position_notional=D(1000))
    send("buy", "900", symbol=ETH, order_type=OrderType.STOP_MARKET, stop_price=D(1000), quantity=D(1))
    see("90000", "ETHUSDT")
    assert held() == {}
    assert (orders()["ETHUSDT.0"].status, orders()["ETHUSDT.0"].code) == ("cancelled", "above_max_position")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"allowed_symbols": ("MSFT",)}, "symbol_not_allowed"),
        ({"max_order_notional": D(3999)}, "above_max_order"),
        ({"max_position_notional": D(3999)}, "above_max_position"),
        ({"max_open_positions": 0}, "too_many_positions"),
    ],
)
def test_a_rule_set_later_holds_at_the_fill(rules: dict[str, Any], code: str) -> None:
    """Rules about the resulting holding are checked again; at exactly the limit the order fills."""
    send("buy", "40000", limit=True)
    rule(USER, **rules)
    see("39000")
    assert (held(), orders()["BTCUSDT.0"].code) == ({}, code)
    if "notional" in next(iter(rules)):
        rule(USER, **{name: value + 1 for name, value in rules.items()})
        send("buy", "40000", limit=True)
        see("38000")
        assert held() == {"position#BTCUSDT": D("0.1")}


@pytest.mark.parametrize("rules", [{"max_orders_per_minute": 0}, {"cooldown_s": 60}])
def test_pace_is_about_placing(rules: dict[str, Any]) -> None:
    """A resting order has been counted when it was placed."""
    send("buy", "40000", limit=True)
    rule(USER, **rules)
    see("39000")
    assert held() == {"position#BTCUSDT": D("0.1")}
