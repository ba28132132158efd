"""Risk rules at execution: orders that open are refused, orders that close never are.

A daily loss halts in the middle of a signal.
"""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws, config
from chalicelib.execution.execute_signal import execute_signal
from chalicelib.orders.models import Instruction
from chalicelib.prices import store as prices
from chalicelib.risk import halts, update_rules
from chalicelib.risk import state as risk_state
from chalicelib.risk.halts import Scope, Switch
from chalicelib.risk.rules import Hours
from functions import receive_signals
from testkit import pump, records
from testkit.crash import killed_after
from testkit.gateway import call

D = Decimal
USER = Switch(Scope.USER, "1", "1")
COSTS = {"currency": "USDT", "slippage_bps": D(0), "commission_bps": D(10)}
STRATEGY = Switch(Scope.STRATEGY, "1", "1", "my_strategy")
GROUP = {
    "group_name": "my_strategy",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "MARKET",
    "qty_per": 10,
    "side": "buy",
}


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """A user with a paper account, and a strategy on no account yet."""
    records.add_user("1", telegram_id=5)
    records.add_account("1", "main")
    records.set_price("BTCUSDT", "50000")


def rule(about: Switch = USER, **rules: Any) -> None:
    update_rules.update_rules(about, rules, by="1", admin=False)


def many_accounts(accounts: int = 20, **more: Any) -> None:
    """Adds a strategy with this number of demo accounts."""
    names = [f"a{number:02}" for number in range(accounts)]
    for name in names:
        records.add_account("1", name, kind="demo", exchange="binance", **{**COSTS, **more})
    records.add_strategy(accounts={f"1-{name}": {} for name in names}, strategy_id="1")


def group(**changes: Any) -> int:
    """A group signal, executed on all its accounts concurrently."""
    given = {**GROUP, **changes, "token": records.add_token("1")}
    body = {name: value for name, value in given.items() if value is not None}
    status, answer, _ = call(receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"})
    pump.execute()
    assert status in (202, 422), answer
    return status


def paper(side: str = "buy", quantity: Any = 1, price: Any = 100, symbol: str = "AAPL", **more: Any) -> Any:
    """A paper signal and how it ended.

    The answer's code if refused at once, else the execution's, else None.
    """
    body = {"symbol": symbol, "side": side, "qty": quantity, "price": price, **more}
    headers = {"X-Webhook-Token": records.add_token("1")}
    status, answer, _ = call(
        receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"}, headers=headers
    )
    if status != 202:
        return answer["code"]
    pump.execute()
    [execution] = [
        item
        for item in pump.items("orders")
        if item["leg"] == "1-main" and item["signal_id"] == answer["signal_id"]
    ]
    return execution["refused"][0]["code"] if execution["refused"] else None


def orders() -> list[dict[str, Any]]:
    return [item for item in pump.items("orders") if "#" in item["leg"]]


def refusals() -> Counter[str]:
    return Counter(
        leg["code"] for item in pump.items("orders") if "#" not in item["leg"] for leg in item["refused"]
    )


def events() -> list[dict[str, Any]]:
    return sorted(pump.items("outbox"), key=lambda item: item["created_at"])


def drained(queue: str) -> list[dict[str, Any]]:
    """Takes everything out of a queue: SQS returns only a few messages of a group at once."""
    found = []
    while received := pump.messages(queue):
        for message in received:
            found.append(json.loads(message["Body"]))
            aws.client("sqs").delete_message(
                QueueUrl=config.queue(queue), ReceiptHandle=message["ReceiptHandle"]
            )
    return found


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"allowed_symbols": ("MSFT",)}, "symbol_not_allowed"),
        ({"max_order_notional": D(50)}, "above_max_order"),
        ({"max_position_notional": D(50)}, "above_max_position"),
        ({"max_open_positions": 0}, "too_many_positions"),
        ({"max_orders_per_minute": 0}, "orders_too_fast"),
        ({"trading_hours": (Hours(days=("mon",), start="00:00", end="00:00"),)}, "outside_trading_hours"),
    ],
)
@pytest.mark.parametrize("about", [USER, Switch(Scope.ACCOUNT, "1-main", "1")], ids=["user", "account"])
def test_a_rule_refuses_what_opens_and_lets_out_what_closes(
    about: Switch, rules: dict[str, Any], code: str
) -> None:
    """Each rule, set on the user or the account, refuses a buy, with an event and a log line.

    The sale of the holding passes.
    """
    assert paper() is None
    monday = datetime.now(UTC).weekday() == 0
    rule(
        about,
        **rules
        if not (monday and "trading_hours" in rules)
        else {"trading_hours": (Hours(days=("tue",), start="01:00", end="02:00"),)},
    )
    assert paper(symbol="TSLA") == code
    assert paper("sell", price=101) is None
    assert len(orders()) == 2
    told = [event for event in events() if event["type"] == "signal.refused"]
    assert [event["payload"]["code"] for event in told] == [code], (
        "refused when it came in, or when it was executed"
    )


def test_a_refusal_at_the_door_is_in_the_log() -> None:
    """A user's rule that needs no records refuses before anything is stored, and the log has the code."""
    rule(allowed_symbols=("MSFT",))
    assert paper() == "symbol_not_allowed"
    assert [item["code"] for item in pump.items("webhook_logs")] == ["symbol_not_allowed"]
    assert pump.items("signals") == []


def test_a_rule_set_meanwhile_is_kept_at_execution() -> None:
    """A signal that was accepted before a rule was set is refused by it all the same."""
    headers = {"X-Webhook-Token": records.add_token("1")}
    body = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 100}
    assert (
        call(receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"}, headers=headers)[0]
        == 202
    )
    rule(max_order_notional=D(99))
    pump.execute()
    assert refusals() == {"above_max_order": 1}
    assert [event["type"] for event in events()][-1] == "signal.refused"


def test_the_strictest_rule_counts() -> None:
    """Rules of the user and of the account hold together."""
    rule(USER, max_order_notional=D(1000))
    rule(Switch(Scope.ACCOUNT, "1-main", "1"), max_order_notional=D(150))
    assert paper(quantity=1) is None
    assert paper(quantity=2) == "above_max_order"


def test_a_position_is_limited_with_what_waits_to_add_to_it() -> None:
    """Open orders count as if they had traded."""
    rule(max_position_notional=D(250))
    assert paper(price=100) is None
    assert paper(price=101) is None
    assert paper(price=102) == "above_max_position"
    many_accounts(1)
    rule(max_position_notional=D(5000))
    group(order_type="LIMIT", price=40000, qty_per=1)
    group(order_type="LIMIT", price=40001, qty_per=10)
    assert [order["status"] for order in orders() if order["symbol"] == "BTCUSDT"] == ["open"]
    assert refusals()["above_max_position"] == 2


def test_open_positions_are_counted_by_instrument() -> None:
    """Adding to a position makes no new one."""
    rule(max_open_positions=2)
    assert [paper(symbol=symbol) for symbol in ("A", "B", "C")] == [None, None, "too_many_positions"]
    assert paper(symbol="A", price=101) is None


def test_a_cooldown_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next signal may open only when the seconds are over; closing does not wait."""
    rule(cooldown_s=60)
    assert paper() is None
    assert paper(price=101) == "cooling_down"
    assert paper("sell", price=102) is None
    item = aws.get("risk", {"scope": "daily_totals#account#1-main"})
    assert item is not None
    earlier = (datetime.now(UTC) - timedelta(seconds=61)).isoformat()
    aws.write(aws.put_write("risk", {**item, "opened": [earlier]}))
    assert paper(price=103) is None


def test_orders_of_a_minute_are_counted_by_account() -> None:
    """A batch's legs count one by one, on each account by itself."""
    many_accounts(2)
    rule(max_orders_per_minute=2)
    group(qty_per=None, orders=[{"qty_per": 1}, {"qty_per": 1}, {"qty_per": 1}])
    assert Counter(order["account_id"] for order in orders()) == {"1-a00": 2, "1-a01": 2}
    assert refusals() == {"orders_too_fast": 2}


def test_a_daily_loss_halts_in_the_middle_of_a_signal() -> None:
    """The accounts add up to the limit while one signal runs on twenty of them.

    Not one order more, and every user is notified.
    """
    many_accounts(20)
    rule(max_daily_loss=D(75))
    group()
    placed, loss = orders(), sum(order["fee"] for order in orders())
    assert loss >= 75 > loss - max(order["fee"] for order in placed), (
        "the order that reached the limit is the last"
    )
    assert refusals() == {"halted": 20 - len(placed)}
    [halted] = [event for event in events() if event["type"] == "trading.halted"]
    assert halted["payload"] == {"reason": "max_daily_loss", "scope": "user", "user_id": 1}
    assert (aws.get("risk", USER.key) or {})["halted"] is True
    assert sum(event["type"] == "signal.refused" for event in events()) == 20 - len(placed)
    pump.publish()
    types = Counter(event["type"] for event in pump.events("user#1"))
    assert (types["trading.halted"], types["signal.refused"], types["order.filled"]) == (
        1,
        20 - len(placed),
        len(placed),
    )
    for queue in ("telegram", "realtime", "webhooks"):
        told = [
            body
            for body in drained(queue)
            if body.get("type") == "trading.halted" and body["stream"] == "user#1"
        ]
        assert len(told) == 1, queue
    assert group(qty_per=11) == 202
    assert len(orders()) == len(placed)


def test_a_reversal_that_reaches_the_limit_only_closes() -> None:
    """Every account gives up its long position; those that lose beyond the limit open no short one."""
    many_accounts(20, commission_bps=D(0))
    group(side="long")
    records.set_price("BTCUSDT", "49000")
    rule(max_daily_loss=D(1000))
    group(side="short")
    mine = orders()
    closes = [order for order in mine if order["leg"].endswith("#close")]
    shorts = [order for order in mine if order["side"] == "sell" and not order["leg"].endswith("#close")]
    assert len(closes) == 20
    assert len(shorts) == 4, "each closing loses 200; the fifth makes it 1000, and opens nothing any more"
    assert refusals()["daily_loss"] + refusals()["halted"] == 16


def test_a_loss_of_yesterday_is_forgotten_and_a_resumed_user_is_still_over_it() -> None:
    """Lifting the halt by hand does not lift the rule; the next day does."""
    rule(max_daily_loss=D("0.05"))
    assert paper() is None
    assert paper(price=101) == "halted"
    halts.set_switch(USER, halted=False, by="1", admin=False)
    assert paper(price=102) == "daily_loss"
    daily_totals = aws.get("risk", {"scope": "daily_totals#user#1"})
    assert daily_totals is not None
    aws.write(aws.put_write("risk", {**daily_totals, "date": "2026-01-01"}))
    assert paper(price=103) is None


def test_a_daily_loss_flattens_every_account_of_its_scope() -> None:
    """If chosen, everything is closed.

    Positions, holdings and open orders, on all accounts, each by its own queue.
    """
    many_accounts(3)
    assert paper(symbol="AAPL", quantity=3) is None
    group(side="long")
    rule(max_daily_loss=D(4), flatten=True)
    records.set_price("AAPL", "99")
    assert paper(symbol="TSLA", quantity=50) is None  # costs 5
    pump.execute()
    for account_id in ("1-main", "1-a00", "1-a01", "1-a02"):
        held = [
            item
            for item in pump.items("portfolios")
            if item["account_id"] == account_id and item["item"] != "ledger"
        ]
        assert held == [], account_id
    [halted] = [event for event in events() if event["type"] == "trading.halted"]
    assert halted["payload"]["flatten"] is True
    assert "flattening" not in (aws.get("risk", USER.key) or {})


def test_a_strategys_daily_loss_is_its_own() -> None:
    """What another strategy or a paper signal loses does not count, and only the strategy is halted."""
    many_accounts(2)
    rule(STRATEGY, max_daily_loss=D(15))
    assert paper(quantity=300) is None  # costs 30
    group()
    assert len(orders()) == 3
    assert (aws.get("risk", STRATEGY.key) or {})["halted"] is True
    group(qty_per=11)
    assert len(orders()) == 3
    assert paper(price=101) is None


def test_a_strategys_daily_loss_closes_its_own_symbols_on_its_own_accounts() -> None:
    """What the owner holds otherwise stays."""
    many_accounts(1)
    assert paper() is None
    rule(STRATEGY, max_daily_loss=D("0.5"), flatten=True)
    group()
    pump.execute()
    held = {item["account_id"] for item in pump.items("portfolios") if item["item"] != "ledger"}
    assert held == {"1-main"}
    assert "flattening" not in (aws.get("risk", STRATEGY.key) or {})


def test_a_waiting_order_that_fills_at_a_loss_halts_too() -> None:
    """Without a signal, a price triggers a stop, and its loss reaches the limit."""
    many_accounts(1, commission_bps=D(0))
    group(side="long")
    group(order_type="STOP_MARKET", side="sell", stop_price=49000, qty_per=100)
    rule(max_daily_loss=D(100))
    prices.queue_price_updates("BTCUSDT", D(48000), "1", "seen", datetime.now(UTC))
    pump.execute()
    assert (aws.get("risk", USER.key) or {})["halted"] is True


def test_equity_that_falls_halts_an_account_at_an_exchange() -> None:
    """Of an account with keys the loss is that of its equity, open positions included."""
    now = datetime.now(UTC)
    rule(max_daily_loss=D(500))
    assert risk_state.add_equity_change("1", "9", D(10_000), now) == []
    risk_state.add_equity_change("1", "9", D(9_600), now)
    assert not (aws.get("risk", USER.key) or {}).get("halted")
    risk_state.add_equity_change("1", "9", D(9_500), now)
    assert (aws.get("risk", USER.key) or {})["halted"] is True


def test_paper_stays_within_five_calls() -> None:
    """With rules of every kind set, a paper order takes no call to AWS more."""
    rule(
        max_order_notional=D(1000),
        max_position_notional=D(9000),
        max_open_positions=9,
        max_orders_per_minute=9,
        max_daily_loss=D(900),
    )
    headers = {"X-Webhook-Token": records.add_token("1")}
    body = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 100}
    call(receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"}, headers=headers)
    [message] = pump.messages("orders-paper")
    with killed_after(99) as made:
        execute_signal(Instruction.model_validate_json(message["Body"]))
    assert len(made) <= 5, made
