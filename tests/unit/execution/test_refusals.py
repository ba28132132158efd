"""The exchange's refusal refuses the signal.

Published once, with the exchange's code and words, and never sent again.
"""

import json
import time
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.trading import MarketType, PositionSide
from tests.unit.execution.conftest import Live
from tests.unit.execution.test_live_faults import PLACE

pytestmark = pytest.mark.usefixtures("unlimited")

SPOT, FUTURES = MarketType.SPOT, MarketType.FUTURES


def answered(
    exchange: str, code: str, text: str = "no", *, call: str = "order"
) -> tuple[int, dict[str, Any]]:
    """An answer with the exchange's own code.

    Developers.binance.com, bybit-exchange.github.io/docs/v5, okx.com/docs-v5.
    """
    if exchange == "binance":
        return {"-1008": 503, "-1007": 408}.get(code, 400), {"code": int(code), "msg": text}
    if exchange == "bybit":
        return 200, {"retCode": int(code), "retMsg": text, "result": {}, "retExtInfo": {}, "time": 1}
    if call == "order":
        return 200, {
            "code": "1",
            "msg": "",
            "data": [{"ordId": "", "clOrdId": "", "sCode": code, "sMsg": text}],
        }
    return 200, {"code": code, "msg": text, "data": []}


def refuse(live: Live, code: str, text: str = "no", *, times: int = 1, when: str = "before") -> None:
    """The exchange answers the next placing with a code."""
    method, path = PLACE[live.exchange]
    live.answer(method, path, *answered(live.exchange, code, text), times=times, when=when)


def payloads(type_: str) -> list[dict[str, Any]]:
    """The payloads of the events of a type."""
    found = aws.client("dynamodb").scan(TableName="test-outbox")["Items"]
    return [item["payload"]["M"] for item in found if item["type"]["S"] == type_]


ORDERS = [
    ("binance", FUTURES, "-4140"),
    ("binance", FUTURES, "-2025"),
    ("binance", FUTURES, "-4202"),
    ("binance", SPOT, "-2010"),
    ("binance", FUTURES, "-2013"),
    ("binance", FUTURES, "-9876"),
    ("bybit", FUTURES, "30228"),
    ("bybit", SPOT, "170810"),
    ("bybit", FUTURES, "110008"),
    ("bybit", FUTURES, "987654"),
    ("okx", FUTURES, "51087"),
    ("okx", SPOT, "51136"),
    ("okx", FUTURES, "51400"),
    ("okx", FUTURES, "59876"),
]


@pytest.mark.parametrize(("exchange", "market_type", "code"), ORDERS)
def test_a_refused_order_is_sent_once(
    open_account, exchange: str, market_type: MarketType, code: str
) -> None:
    """One POST, and the order is rejected with code and words.

    In the order, the event and the signal's refusal.
    """
    live = open_account(exchange, market_type)
    refuse(live, code, "the words")
    began = time.monotonic()

    execution = live.run("buy")

    assert time.monotonic() - began < 5
    [leg] = execution.refused
    assert (leg.code, leg.values["exchange_code"], leg.values["reason"]) == (
        "exchange_refused",
        code,
        "the words",
    )
    [order] = live.order_store()
    assert (order.status, order.code, order.values["exchange_code"]) == (
        OrderStatus.REJECTED,
        "exchange_refused",
        code,
    )
    assert live.sent(*PLACE[exchange]) == 1
    assert live.there() == []
    [event] = payloads("order.rejected")
    assert (event["values"]["M"]["exchange_code"]["S"], event["values"]["M"]["reason"]["S"]) == (
        code,
        "the words",
    )
    live.follow()
    assert live.sent(*PLACE[exchange]) == 1, "nothing is bought later"


@pytest.mark.parametrize(("exchange", "code"), [("bybit", "110090"), ("okx", "51115"), ("binance", "-2024")])
def test_a_refused_close_is_told(open_account, exchange: str, code: str) -> None:
    """A refused close is published, sent once, and leaves the position."""
    live = open_account(exchange, FUTURES)
    live.run("buy")
    sent = live.sent(*PLACE[exchange])
    refuse(live, code, "the words")

    execution = live.run("close")

    assert [leg.values["exchange_code"] for leg in execution.refused] == [code]
    assert live.sent(*PLACE[exchange]) == sent + 1
    assert live.holdings["positions"] == {"BTCUSDT/net": "0.1"}


@pytest.mark.parametrize(("exchange", "code"), [("binance", "-9876"), ("bybit", "987654"), ("okx", "59876")])
def test_a_code_never_seen_is_counted(open_account, exchange: str, code: str, capsys) -> None:
    """A metric counts it, so that the table can be completed."""
    live = open_account(exchange, FUTURES)
    refuse(live, code)
    live.run("buy")
    lines = [
        json.loads(line) for line in capsys.readouterr().out.splitlines() if "UnlistedExchangeCodes" in line
    ]
    assert [line["exchange"] for line in lines] == [exchange]


UNKNOWN = [
    ("binance", "-1007", "after"),
    ("bybit", "10000", "after"),
    ("bybit", "10016", "before"),
    ("bybit", "170222", "before"),
    ("okx", "50004", "after"),
    ("okx", "51054", "after"),
    ("okx", "50013", "before"),
    ("okx", "51149", "before"),
]


@pytest.mark.parametrize(("exchange", "code", "when"), UNKNOWN)
def test_an_unknown_outcome_is_looked_up(open_account, exchange: str, code: str, when: str) -> None:
    """One order, filled, whether the exchange had acted or not."""
    live = open_account(exchange, FUTURES)
    refuse(live, code, when=when)
    execution = live.run("buy")
    assert not execution.refused, execution.refused
    assert [each["status"] for each in live.there()] == ["filled"]
    assert live.agrees()


def test_an_overloaded_exchange_is_asked_again_soon(open_account) -> None:
    """Binance's -1008 with HTTP 503 says that nothing was executed.

    Sent again after a short pause, not after the late-arrival bound.
    """
    live = open_account("binance", FUTURES)
    refuse(live, "-1008")
    execution = live.run("buy")
    assert not execution.refused
    assert {each.cause for each in execution.delays} == {"fault"}
    assert live.sent(*PLACE["binance"]) == 2
    assert [each["status"] for each in live.there()] == ["filled"]


STOPS = {
    "binance": ("POST", "*/algoOrder", "-4045"),
    "bybit": ("POST", "*/order/create", "110009"),
    "okx": ("POST", "*/order-algo", "51174"),
}


@pytest.mark.parametrize("exchange", STOPS)
def test_a_refused_stop_loss_is_told_at_once(open_account, exchange: str) -> None:
    """The entry stays, and `order.protection_failed` says why with the exchange's code and words."""
    live = open_account(exchange, FUTURES)
    method, path, code = STOPS[exchange]
    entry = live.signal(stop_loss=Decimal(45000))
    if exchange == "bybit":  # entries and stops go to one address there, so the entry passes first
        live.run("buy")
        live.simulator.call("POST", "refuse", api_key=live.credentials.api_key, stops=True)
        live.execute(entry)
        code = "110007"
    else:
        live.answer(method, path, *answered(exchange, code, "the words"))
        live.execute(entry)
    [event] = payloads("order.protection_failed")
    assert event["missing"]["S"] == "stop_loss"
    assert event["values"]["M"]["exchange_code"]["S"] == code
    assert all(order.status is OrderStatus.FILLED for order in live.order_store() if order.exit_of is None)


def test_a_refused_take_profit_leaves_the_stop_loss(open_account) -> None:
    """Of a pair the other leg stands."""
    live = open_account("binance", FUTURES)
    entry = live.signal(stop_loss=Decimal(45000), take_profit=Decimal(55000))
    # The first of the two passes.
    live.simulator.fault(
        exchange="binance", method="POST", path="*/algoOrder", kind="slow", seconds=0.01, times=1
    )
    live.answer("POST", "*/algoOrder", *answered("binance", "-4045", "the words"))
    live.execute(entry)
    [event] = payloads("order.protection_failed")
    assert event["missing"]["S"] == "take_profit"
    assert {order.leg: order.status.value for order in live.order_store()} == {
        "0": "filled",
        "0.sl": "open",
        "0.tp": "rejected",
    }


def test_a_stop_loss_of_unknown_outcome_is_told(open_account) -> None:
    """The stop-loss may be missing, so the owner is notified, and the reconciliation continues."""
    live = open_account("binance", FUTURES)
    live.answer("POST", "*/algoOrder", *answered("binance", "-1007"), times=20)
    live.answer("GET", "*/algoOrder", 500, {}, times=40)
    live.execute(live.signal(stop_loss=Decimal(45000)))
    event = payloads("order.protection_failed")[0]
    assert (event["missing"]["S"], event["code"]["S"]) == ("stop_loss", "exchange_outcome_unknown")
    live.simulator.clear_faults()
    for _ in range(3):
        live.follow()
    assert [each["status"] for each in live.there() if each["algo"]] == ["untriggered"]


SETTINGS = {
    "binance": ("POST", "*/marginType", "-4168", {"margin_mode": "isolated"}),
    "bybit": ("POST", "*/set-leverage", "110077", {"leverage": 7}),
    "okx": ("POST", "*/set-leverage", "59111", {"leverage": 7}),
}


@pytest.mark.parametrize("exchange", SETTINGS)
def test_a_refused_setting_refuses_the_signal(open_account, exchange: str) -> None:
    """At once, with the reason, and without an order."""
    live = open_account(exchange, FUTURES)
    method, path, code, fields = SETTINGS[exchange]
    live.answer(method, path, *answered(exchange, code, "the words", call="setting"))
    [leg] = live.run("buy", **fields).refused
    assert (leg.values["exchange_code"], leg.values["reason"]) == (code, "the words")
    assert live.sent(method, path) == 1
    assert live.sent(*PLACE[exchange]) == 0


def test_okxs_spot_mode_is_told_as_such(open_account) -> None:
    """51010 is the account's mode, not its position mode."""
    live = open_account("okx", FUTURES)
    live.modes(level="1")
    [leg] = live.run("buy").refused
    assert (leg.code, leg.values["exchange_code"]) == ("exchange_account_mode", "51010")


def test_settings_are_looked_at_again_after_a_refusal(open_account) -> None:
    """The account's mode was changed by hand.

    This signal is refused with that reason, and the next one reads the settings again and is filled.
    """
    live = open_account("bybit", FUTURES)
    live.run("buy")
    live.run("close")
    live.modes(hedged=True)
    [leg] = live.run("buy").refused
    assert leg.code == "exchange_position_mode_differs"
    assert not live.run("buy").refused


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_account_wide_modes_stay_as_they_are(open_account, exchange: str) -> None:
    """A signal that needs another mode is refused and says what to set; no call changes a setting."""
    live = open_account(exchange, FUTURES)
    if exchange == "bybit":
        live.modes(margin_mode="isolated")
        cases = [({"margin_mode": "cross"}, "account_margin_mode_differs")]
    else:
        cases = [({"position_side": PositionSide.LONG}, "account_in_one_way_mode")]
    for fields, code in cases:
        assert [leg.code for leg in live.run("buy", **fields).refused] == [code]
    if exchange != "bybit":
        live.modes(hedged=True)
        assert [leg.code for leg in live.run("buy").refused] == ["account_in_hedge_mode"]
    assert live.sent("POST", "*mode*") + live.sent("POST", "*dual*") == 0
    assert live.there() == []


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_account_wide_modes_change_when_asked_for(open_account, exchange: str) -> None:
    """With `manage_account_modes` the mode is made to fit."""
    live = open_account(exchange, FUTURES, manage_account_modes=True)
    fields = {"margin_mode": "isolated"} if exchange == "bybit" else {"position_side": PositionSide.LONG}
    assert not live.run("buy", **fields).refused
    assert live.holdings["margin_mode"] == "isolated" if exchange == "bybit" else live.holdings["hedged"]


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_bybits_equal_margin_mode_trades_without_a_change(open_account, mode: str) -> None:
    """The account's mode is the settings' mode."""
    live = open_account("bybit", FUTURES)
    live.modes(margin_mode=mode)
    assert not live.run("buy", margin_mode=mode, leverage=10).refused
    assert live.sent("POST", "*set*") == 0


@pytest.mark.parametrize("level", ["1", "2", "3", "4"])
def test_okxs_spot_follows_the_accounts_level(open_account, level: str) -> None:
    """`cross` with a common margin pool, `cash` without: buys and sells are filled at every level."""
    live = open_account("okx", SPOT)
    live.modes(level=level)
    for side in ("buy", "sell"):
        execution = live.run(side)
        assert [order.status for order in execution.orders] == [OrderStatus.FILLED], execution.refused
