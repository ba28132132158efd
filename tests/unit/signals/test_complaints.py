"""What users of comparable services complain about, one test each.

3, 7, 10, 11, 12, 13 and 17 stand with the parser's tests.
"""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.users.credentials import Kind
from functions import receive_signals, serve_api
from testkit import pump, records
from testkit.gateway import call

FREE = {"currency": "USDT", "slippage_bps": Decimal(0), "commission_bps": Decimal(0)}
GROUP = {
    "group_name": "my_strategy",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "MARKET",
    "side": "buy",
}


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """A user with two demo accounts on a strategy, without costs, and a paper account."""
    records.add_user("1", require_token=False, trade_amount=Decimal(100))
    records.add_account("1", "main")
    records.add_account("1", "one", kind="demo", exchange="binance", **FREE)
    records.add_account("1", "two", kind="demo", exchange="bybit", **FREE)
    records.add_strategy(accounts={"1-one": {}, "1-two": {"exchange": "bybit"}})
    records.set_price("BTCUSDT", "50000")


def send(path: str, body: Any, **more: Any) -> tuple[int, Any]:
    """A signal on its way, not yet executed."""
    status, answer, _ = call(receive_signals.app, "POST", path, body, query={"wait": "0"}, **more)
    return status, answer


def group(**changes: Any) -> tuple[int, Any]:
    """A group signal with the owner's token."""
    return send("/api/webhook", {**GROUP, **changes, "token": records.add_token("1")})


def read(path: str, **more: Any) -> Any:
    """An answer of the API to the user."""
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    return call(serve_api.app, "GET", path, headers=headers, **more)[1]


def trades() -> list[dict[str, Any]]:
    """Returns the stored orders, in the order of their creation."""
    made = [item for item in pump.items("orders") if "#" in item["leg"]]
    return sorted(made, key=lambda item: (item["account_id"], item["number"]))


def test_complaint_1_no_alert_is_lost_unseen() -> None:
    """Whatever reaches the webhook is in the log, refused or not, so a missing alert was never sent."""
    send("/webhook", {"symbol": "BTCUSDT", "action": "buy", "price": 50000})
    send("/webhook", {"symbol": "BTCUSDT", "action": "hold"})
    logged = read("/webhook-logs")["items"]
    assert sorted(entry["outcome"] for entry in logged) == ["accepted", "refused"]


def test_complaint_2_retries_do_not_multiply_orders() -> None:
    """TradingView's four sends of one alert make one order."""
    body = {"symbol": "BTCUSDT", "action": "buy", "price": 50000}
    first, *others = [send("/webhook", body)[1]["signal_id"] for _ in range(4)]
    pump.execute()
    assert set(others) == {first}
    assert len(trades()) == 1


def test_complaint_4_alerts_of_one_candle_keep_their_order() -> None:
    """An entry and a close in the same second execute as they came.

    Bought, then sold, nothing opened by the close.
    """
    group(side="buy", qty_per=50)
    group(side="close")
    pump.execute()
    made = [trade for trade in trades() if trade["account_id"] == "1-one"]
    assert [trade["side"] for trade in made] == ["buy", "sell"]
    assert made[0]["filled"] == made[1]["filled"]


def test_complaint_5_a_flip_closes_before_it_opens() -> None:
    """`short` against a long position closes it first, and opens only then."""
    group(side="long", qty_per=50)
    group(side="short", qty_per=50)
    pump.execute()
    made = [trade for trade in trades() if trade["account_id"] == "1-one"]
    assert [(trade["side"], trade["reduce_only"]) for trade in made] == [
        ("buy", False),
        ("sell", True),
        ("sell", False),
    ]


def test_complaint_6_a_reversal_does_not_end_flat() -> None:
    """After the reversal there is a position the other way, and it can be closed."""
    group(side="long", qty_per=50)
    group(side="short", qty_per=50)
    pump.execute()
    held = read("/positions")["items"]
    assert {position["side"] for position in held if position["account_id"] == "1-one"} == {"short"}
    group(side="close")
    pump.execute()
    assert not [position for position in read("/positions")["items"] if position["account_id"] == "1-one"]


@pytest.mark.parametrize(
    ("path", "body", "value"),
    [
        (
            "/webhook",
            {"symbol": "BTCUSDT", "action": "buy", "price": 50000, "exchange": "BINANCE"},
            Decimal(100),
        ),
        ("/api/webhook", GROUP | {"qty_per": 10, "market_type": "SPOT"}, Decimal(10000)),
    ],
)
def test_complaint_8_sizes_in_quote_and_in_percent(path: str, body: dict[str, Any], value: Decimal) -> None:
    """100 USDT buy for 100, and 10 % of 100000 for 10000."""
    send(path, body | ({"token": records.add_token("1")} if "group_name" in body else {}))
    pump.execute()
    assert trades()[0]["value"] == pytest.approx(value, rel=Decimal("0.001"))


def test_complaint_9_below_the_minimum_says_so() -> None:
    """An order that rounds to nothing is refused by name, and nothing is sent."""
    _, answer = group(qty_per="0.0000001")
    pump.execute()
    result = read(
        f"/signals/{answer['signal_id']}",
        route="/signals/{signal_id}",
        path_parameters={"signal_id": answer["signal_id"]},
    )["result"]
    assert result["code"].startswith("below_minimum")
    assert not trades()


def test_complaint_14_cancel_and_entry_at_once() -> None:
    """`stop` cancels the symbol's open orders and closes the position, in one alert."""
    group(side="buy", qty_per=50)
    group(side="buy", qty_per=10, order_type="LIMIT", price=40000)
    group(side="stop")
    pump.execute()
    made = [(trade["side"], trade["status"]) for trade in trades() if trade["account_id"] == "1-one"]
    assert made == [("buy", "filled"), ("buy", "cancelled"), ("sell", "filled")]


def test_complaint_14_a_cancel_of_everything_is_never_a_repeat() -> None:
    """The same cancel within seconds cancels the orders placed since."""
    token = records.add_token("1")
    cancel = {"group_name": "my_strategy", "order_type": "CANCEL_ALL_ORDER", "token": token}
    limit = GROUP | {"order_type": "LIMIT", "price": 40000, "qty_per": 10, "token": token}
    for price in (40000, 41000):
        send("/api/webhook", limit | {"price": price})
        send("/api/webhook", cancel)
    pump.execute()
    assert [trade["status"] for trade in trades()] == ["cancelled", "cancelled"]


def test_complaint_15_an_address_is_no_token() -> None:
    """TradingView's own address without the token is refused."""
    records.add_user("2", allowed_addresses=["tradingview"])
    status, answer = send(
        "/personal/2/webhook",
        {"symbol": "BTCUSDT", "action": "buy"},
        source_ip="52.89.214.238",
        **_personal("2"),
    )
    assert (status, answer["code"]) == (401, "token_missing")


def test_complaint_16_fills_are_told() -> None:
    """A stop that triggers later publishes an event with its signal."""
    group(side="buy", order_type="STOP_MARKET", stop_price=51000, qty_per=10)
    pump.execute()
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    call(serve_api.app, "POST", "/paper/prices", {"symbol": "BTCUSDT", "price": 51500}, headers=headers)
    pump.execute()
    pump.publish()
    assert [event["type"] for event in read("/events")["items"]].count("order.filled") >= 1


def test_complaint_18_every_alert_comes_with_its_url() -> None:
    """A strategy's alert message names the URL to send it to."""
    from chalicelib.strategies import alert_message
    from chalicelib.strategies.models import Strategy

    strategy = Strategy(strategy_id="1", user_id="1", group_name="my_strategy")
    assert alert_message.build(strategy, "personal")["url"].endswith("/personal/1/webhook")


def test_complaint_19_one_signal_reaches_every_account() -> None:
    """A cancel-free group signal without a filter of accounts trades each account on the exchange it names,
    and no other.
    """
    group(side="buy", qty_per=10)
    group(side="buy", qty_per=10, exchange="BYBIT")
    pump.execute()
    assert {trade["account_id"] for trade in trades()} == {"1-one", "1-two"}


def test_complaint_20_profit_is_shown() -> None:
    """A position shows its entry, the last price and the profit between them."""
    group(side="long", qty_per=50)
    pump.execute()
    records.set_price("BTCUSDT", "51000")
    [position] = [each for each in read("/positions")["items"] if each["account_id"] == "1-one"]
    assert Decimal(str(position["unrealized_pnl"])) == Decimal(str(position["quantity"])) * 1000


def _personal(user_id: str) -> dict[str, Any]:
    return {"route": "/personal/{user_id}/webhook", "path_parameters": {"user_id": user_id}}
