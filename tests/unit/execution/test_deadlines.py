"""Resting orders expire, and positions close after a time: on simulated accounts and at exchanges."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.execution import execute_signal as executing
from chalicelib.execution.keep_deadline import keep_deadline
from chalicelib.orders import store
from chalicelib.orders.models import Instruction, KeepDeadline, Order, PriceUpdate
from chalicelib.paper.reset import reset_account
from chalicelib.risk import halts
from chalicelib.risk.halts import Scope, Switch
from chalicelib.trading import Action, MarketType, OrderType, Symbol
from functions import track_orders
from testkit import pump, records
from testkit.gateway import CONTEXT
from tests.unit.execution.conftest import Live

D = Decimal
BTC = Symbol(raw="BTCUSDT", base="BTC", quote="USDT")
LONG_AGO = "2026-01-01T00:00:00+00:00"
_ids = iter(range(10**6))


@pytest.fixture
def trader(emulated: None) -> None:
    """A user with a paper account without costs, and a known price."""
    records.add_user("1")
    records.add_account("1", "main", slippage_bps=D(0), commission_bps=D(0))
    records.set_price("BTCUSDT", "50000")


def send(action: str = "buy", **more: Any) -> str:
    """A signal on the paper account. Returns its id."""
    signal_id = f"d{next(_ids)}"
    executing.execute_signal(
        Instruction(
            signal_id=signal_id,
            user_id="1",
            account_id="1-main",
            exchange="paper",
            variant="group",
            action=Action(action),
            symbol=BTC,
            received_at=datetime.now(UTC),
            max_age_s=60,
            single_account=False,
            simulated=True,
            leverage=10,
            **{"market_type": MarketType.FUTURES, "price": D(50000), "quantity": D("0.1"), **more},
        )
    )
    return signal_id


def rest(**more: Any) -> str:
    return send(**{"order_type": OrderType.LIMIT, "price": D(40000), **more})


def see(price: str) -> None:
    executing.on_price(
        PriceUpdate(
            update_id=price,
            account_id="1-main",
            exchange="paper",
            symbol="BTCUSDT",
            price=D(price),
            at=datetime.now(UTC),
        )
    )


def deadlines() -> dict[str, datetime]:
    return {
        item["order_id"]: datetime.fromisoformat(item["due_at"])
        for item in pump.items("in_flight_orders")
        if item["order_id"].startswith("deadline#")
    }


def pass_time() -> None:
    """Makes every deadline due, and each fill long ago."""
    for item in pump.items("in_flight_orders"):
        if item["order_id"].startswith("deadline#"):
            aws.write(aws.put_write("in_flight_orders", item | {"due_at": LONG_AGO}))
    for item in pump.items("orders"):
        if item.get("opened_at"):
            aws.write(aws.put_write("orders", item | {"opened_at": LONG_AGO}))


def minute() -> int:
    """Runs one minute's schedule and the workers. Returns the number of messages."""
    track_orders.handler({}, CONTEXT)
    return len(pump.execute())


def order(signal_id: str, leg: str = "0", account_id: str = "1-main") -> Order:
    item = aws.get("orders", {"signal_id": signal_id, "leg": f"{account_id}#{leg}"})
    assert item is not None
    return store.order_from_item(item)


def all_orders() -> list[Order]:
    found = [store.order_from_item(item) for item in pump.items("orders") if "#" in item["leg"]]
    return sorted(found, key=lambda each: each.number)


def held() -> Decimal:
    return sum(
        (
            item["quantity"]
            for item in pump.items("portfolios")
            if item["item"].startswith(("asset", "position"))
        ),
        D(0),
    )


# Expiry


@pytest.mark.parametrize(
    "resting",
    [{}, {"order_type": OrderType.STOP_MARKET, "price": None, "stop_price": D(60000)}],
    ids=["limit", "stop"],
)
def test_a_resting_order_expires(trader: None, resting: dict[str, Any]) -> None:
    """Not before its time; then it is cancelled with the reason, and the deadline is gone."""
    signal_id = rest(expires_in_s=300, **resting)
    placed = order(signal_id)
    assert placed.expires_at == placed.created_at + timedelta(seconds=300)
    assert list(deadlines().values()) == [placed.expires_at]
    assert minute() == 0
    pass_time()
    assert minute() == 1
    assert (order(signal_id).status, order(signal_id).code) == ("cancelled", "expired")
    assert (deadlines(), held(), minute()) == ({}, 0, 0)


def test_the_rest_goes_to_the_market_once(trader: None) -> None:
    """With its stop-loss, also if the message comes twice or late."""
    signal_id = rest(expires_in_s=60, on_expiry="market", stop_loss=D(30000))
    key = next(iter(deadlines()))
    pass_time()
    [stored] = [item for item in pump.items("in_flight_orders") if item["order_id"] == key]
    assert minute() == 1
    aws.write(aws.put_write("in_flight_orders", stored))  # as if the worker had died before it removed it
    assert minute() == 1
    assert order(signal_id).code == "expired"
    assert [(each.order_type, each.status) for each in all_orders()] == [
        ("limit", "cancelled"),
        ("market", "filled"),
        ("stop_market", "open"),
    ]
    assert held() == D("0.1")


def test_a_filled_order_does_not_expire(trader: None) -> None:
    """Filled in time, and cancelled by hand: neither buys anything at the market."""
    filled = rest(expires_in_s=60, on_expiry="market")
    see("39000")
    pass_time()
    minute()
    assert (order(filled).status, held(), deadlines()) == ("filled", D("0.1"), {})
    rest(expires_in_s=60, on_expiry="market")
    executing.execute_signal(
        Instruction(
            signal_id="cancel",
            user_id="1",
            account_id="1-main",
            exchange="paper",
            variant="group",
            action=Action.CANCEL_ALL,
            received_at=datetime.now(UTC),
            max_age_s=60,
            single_account=False,
            simulated=True,
        )
    )
    pass_time()
    minute()
    assert (held(), deadlines()) == (D("0.1"), {})


def test_a_halt_keeps_the_market_order_back(trader: None) -> None:
    """The order expires all the same, and the refusal is an event."""
    signal_id = rest(expires_in_s=60, on_expiry="market")
    halts.set_switch(Switch(Scope.USER, "1", "1"), halted=True, by="1")
    pass_time()
    minute()
    assert (order(signal_id).code, held(), deadlines()) == ("expired", 0, {})
    assert "signal.refused" in [item["type"] for item in pump.items("outbox")]


def test_a_market_order_has_no_expiry(trader: None) -> None:
    """It never rests."""
    send(expires_in_s=60)
    assert deadlines() == {}


# Timed exit


@pytest.mark.parametrize("market_type", list(MarketType))
@pytest.mark.parametrize("action", ["buy", "short"])
def test_a_position_closes_after_its_time(trader: None, market_type: MarketType, action: str) -> None:
    """Counted from the fill; its exits end with it."""
    if action == "short" and market_type is MarketType.SPOT:
        pytest.skip("there is no short position on spot")
    stop = D(45000 if action == "buy" else 55000)
    signal_id = send(action, market_type=market_type, exit_after_s=600, stop_loss=stop)
    opened = order(signal_id)
    assert opened.opened_at is not None
    assert list(deadlines().values()) == [opened.created_at + timedelta(seconds=600)]
    assert minute() == 0
    pass_time()
    assert minute() == 1
    assert (held(), deadlines()) == (0, {})
    assert {each.status.value for each in all_orders()} == {"filled", "cancelled"}


def test_the_time_counts_from_the_fill(trader: None) -> None:
    """A resting entry that fills later is closed later, not at the first look."""
    signal_id = rest(exit_after_s=600)
    pass_time()
    assert minute() == 1
    see("39000")
    assert order(signal_id).opened_at is not None
    [until] = deadlines().values()
    assert timedelta(seconds=590) < until - datetime.now(UTC) < timedelta(seconds=610)
    aws.write(aws.put_write("in_flight_orders", _deadline_item() | {"due_at": LONG_AGO}))
    assert minute() == 1
    assert (held(), len(deadlines())) == (D("0.1"), 1)
    pass_time()
    minute()
    assert (held(), deadlines()) == (0, {})


def test_waiting_for_a_fill_is_no_attempt(trader: None) -> None:
    """However long an entry rests, what it opens is closed."""
    rest(exit_after_s=600)
    for _ in range(3):
        pass_time()
        minute()
    assert _deadline_item()["attempt"] == 0


def _deadline_item() -> dict[str, Any]:
    [item] = [each for each in pump.items("in_flight_orders") if each["order_id"].startswith("deadline#")]
    return item


def test_it_closes_its_own_part_alone(trader: None) -> None:
    """Not the part of another entry, and nothing of a position that was opened after its own was closed."""
    send(quantity=D("0.2"))
    send(exit_after_s=600)
    send(quantity=D("0.3"))
    pass_time()
    minute()
    assert held() == D("0.5")
    send(exit_after_s=600)
    send("close", quantity=None)
    send(quantity=D("0.3"))
    pass_time()
    minute()
    assert (held(), deadlines()) == (D("0.3"), {})


def test_a_reset_ends_it(trader: None) -> None:
    """What was opened before the reset is gone: nothing that was opened since is closed."""
    send(exit_after_s=600)
    reset_account("1-main", by="1")
    send()
    pass_time()
    minute()
    assert (held(), deadlines()) == (D("0.1"), {})


def test_without_a_price_it_is_tried_again(trader: None) -> None:
    """A simulated account closes at a price; the deadline stays until there is one."""
    send(exit_after_s=600)
    price = aws.get_many([("prices", {"symbol": "BTCUSDT", "scope": "everybody"})])[0]
    own = [item for item in pump.items("prices") if item["symbol"] == "BTCUSDT"]
    for item in own:
        aws.write(aws.delete_write("prices", {"symbol": "BTCUSDT", "scope": item["scope"]}))
    pass_time()
    minute()
    assert (held(), len(deadlines())) == (D("0.1"), 1)
    aws.write(aws.put_write("prices", price or own[0]))
    pass_time()
    minute()
    assert (held(), deadlines()) == (0, {})


def test_a_sale_opens_nothing_to_close(trader: None) -> None:
    """An order that reduces has no exit of its own."""
    send(market_type=MarketType.SPOT, quantity=D("0.3"))
    send("sell", market_type=MarketType.SPOT, exit_after_s=60)
    assert deadlines() == {}


# At exchanges


def due(live: Live) -> None:
    pass_time()
    for key in deadlines():
        message = KeepDeadline(
            deadline_id=key,
            account_id=live.account_id,
            exchange=live.exchange,
            due_at=datetime.fromisoformat(LONG_AGO),
        )
        keep_deadline(message, 20)
        keep_deadline(message, 20)
    live.follow()


@pytest.mark.parametrize("on_expiry", ["cancel", "market"])
def test_expiry_at_an_exchange(live: Live, on_expiry: str) -> None:
    """Cancelled there; with `market` bought once at the market."""
    live.limit("49000", expires_in_s=60, on_expiry=on_expiry)
    assert len(deadlines()) == 1
    due(live)
    expected = [("cancelled", "expired")] + [("filled", None)] * (on_expiry == "market")
    assert [(each.status, each.code) for each in live.order_store()] == expected
    assert live.agrees()
    assert deadlines() == {}


def test_a_fill_and_an_expiry_at_the_same_time(live: Live) -> None:
    """The exchange filled it first: one fill, and nothing at the market."""
    live.limit("49000", expires_in_s=60, on_expiry="market")
    live.simulator.price("BTCUSDT", "48900")
    due(live)
    due(live)
    assert [each.status for each in live.order_store()] == ["filled"]
    assert live.agrees()
    assert deadlines() == {}


def test_a_timed_exit_at_an_exchange(live: Live) -> None:
    """What the entry bought is sold, its stop-loss is gone, what was held before stays."""
    live.run("buy", stop_loss=D(45000), exit_after_s=600)
    due(live)
    assert deadlines() == {}
    assert {each.status for each in live.order_store()} <= {"filled", "cancelled"}
    assert live.agrees()
    if live.market_type is MarketType.SPOT:
        assert D("1.999") <= D(live.holdings["balances"]["spot"]["BTC"]) <= 2
    else:
        assert sum(map(D, live.holdings["positions"].values())) == 0


def test_a_timed_exit_in_hedge_mode(futures: Live) -> None:
    """Only the entry's own side is closed."""
    futures.hedge()
    futures.run("sell", position_side="short", quantity=D("0.2"))
    futures.run("buy", position_side="long", exit_after_s=600)
    due(futures)
    assert sorted(map(D, futures.holdings["positions"].values())) in ([D("-0.2")], [D("-0.2"), D(0)])
    assert deadlines() == {}


def test_an_exit_is_no_expiry(live: Live) -> None:
    """The rest of an entry that the exit cancels is not bought at the market later."""
    live.limit("49000", quantity="0.2", expires_in_s=7200, on_expiry="market", exit_after_s=60)
    live.simulator.price("BTCUSDT", "48900", size="0.1")
    live.follow()
    assert live.order_store()[0].filled == D("0.1")
    live.simulator.price("BTCUSDT", "50000")  # with liquidity again
    due(live)
    due(live)
    assert (live.order_store()[0].status, live.order_store()[0].code) == ("cancelled", "exit_due")
    bought, sold = live.order_store()
    assert (sold.side, sold.status) == ("sell", "filled")
    assert D("0.099") < sold.filled <= bought.filled
    assert deadlines() == {}
