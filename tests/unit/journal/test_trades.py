"""A position that closes becomes a trade: stored once with its fill, announced, and listed."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.events.models import LoggedEvent
from chalicelib.orders.store import order_from_item
from chalicelib.signals import sweep
from chalicelib.telegram import wording
from functions import execute_orders, receive_signals
from testkit import pump, records
from testkit.api import Api
from testkit.crash import Killed, killed_after
from testkit.gateway import CONTEXT, call, queue_event

BUY = {"symbol": "AAPL", "side": "buy", "qty": 100, "price": 185.50}
SELL = {"symbol": "AAPL", "side": "sell", "qty": 100, "price": 190}


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """A user who trades on paper without a token."""
    records.add_user("1", require_token=False)
    records.add_account("1")


@pytest.fixture
def api(trader: None) -> Api:
    records.add_user("2", role="admin")
    records.add_user("3")
    found = Api()
    for user_id in ("1", "2", "3"):
        found.sign_in(user_id)
    return found


def send(body: dict[str, Any]) -> None:
    status, answer, _ = call(receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"})
    assert status == 202, answer


def trade(*bodies: dict[str, Any]) -> None:
    """Sends signals, each executed before the next."""
    for body in bodies:
        send(body)
        pump.execute()


def test_a_closed_position_is_a_trade(api: Api) -> None:
    """100 bought at 185.59 and sold at 189.90, fees 18.56 and 18.99, 5 bp against each signal."""
    trade(BUY)
    assert api("1", "GET", "/trades")[1] == {"items": [], "total": 0, "next": None}
    trade(SELL)
    [found] = api("1", "GET", "/trades")[1]["items"]
    assert found | {"opened_at": None, "closed_at": None, "trade_id": "", "order_id": ""} == {
        "trade_id": "",
        "user_id": 1,
        "account_id": "1-main",
        "exchange": "paper",
        "market_type": "spot",
        "symbol": "AAPL",
        "strategy": None,
        "side": "long",
        "quantity": 100,
        "entry_price": 185.59,
        "exit_price": 189.9,
        "fees": 37.55,
        "other_fees": [],
        "gross_profit": 431,
        "net_profit": 393.45,
        "currency": "USD",
        "slippage_bps": 5.06,
        "order_id": "",
        "opened_at": None,
        "closed_at": None,
    }
    assert found["opened_at"] < found["closed_at"]
    orders = {order["order_id"]: order for order in api("1", "GET", "/orders")[1]["items"]}
    assert orders[found["order_id"]]["side"] == "sell"
    assert orders[found["order_id"]]["filled_at"] == found["closed_at"]


def test_it_is_announced() -> None:
    """By an event in the transaction of the fill, which Telegram shows with the result."""
    trade(BUY, SELL)
    pump.publish()
    [event] = [each for each in pump.events("user#1") if each["type"] == "trade.closed"]
    assert (event["payload"]["net_profit"], event["payload"]["side"]) == ("393.45", "long")
    said = wording.of_event(logged(event["payload"]), "en")
    assert said == "Trade closed: LONG 100 AAPL from 185.59 to 189.9 on paper\nResult 393.45 USD, fees 37.55"


def test_fees_that_are_not_in_the_result_are_named() -> None:
    """In every language, because a result without them is too good."""
    trade(BUY, SELL)
    pump.publish()
    [event] = [each for each in pump.events("user#1") if each["type"] == "trade.closed"]
    fees = [{"currency": "BNB", "amount": "0.003"}, {"currency": "several", "amount": None}]
    for language in ("en", "ko", "zh", "ar", "ru"):
        said = wording.of_event(logged(event["payload"] | {"other_fees": fees}), language)
        assert said is not None
        assert said.endswith("0.003 BNB, ? several")


def logged(payload: dict[str, Any]) -> LoggedEvent:
    """The event as it reaches Telegram."""
    return LoggedEvent(
        stream="user#1",
        sequence=1,
        event_id="e",
        type="trade.closed",
        payload=payload,
        entity="trade#t",
        user_id="1",
        timestamp=datetime.now(UTC),
    )


def test_an_opening_fill_writes_no_more_than_before() -> None:
    """What is open is kept on the item of the position, which is written anyway."""
    trade(BUY)
    assert pump.items("trades") == []
    [holding] = [item for item in pump.items("portfolios") if item["item"] == "asset#AAPL"]
    assert len(holding["lots"]) == 1


def test_holdings_without_a_record_count_at_their_cost(api: Api) -> None:
    """A position that is older than the journal has a result, and no time of opening."""
    trade(BUY)
    [holding] = [item for item in pump.items("portfolios") if item["item"] == "asset#AAPL"]
    records.aws.write(records.aws.put_write("portfolios", {k: v for k, v in holding.items() if k != "lots"}))
    trade(SELL)
    [found] = api("1", "GET", "/trades")[1]["items"]
    assert (found["opened_at"], found["gross_profit"], found["fees"]) == (None, 431, 18.99)


def test_filters(api: Api) -> None:
    """By account, strategy, symbol and time of closing. A cursor continues the list."""
    trade(BUY, SELL, BUY | {"symbol": "MSFT"}, SELL | {"symbol": "MSFT"})
    last, first = api("1", "GET", "/trades")[1]["items"]
    assert (last["symbol"], first["symbol"]) == ("MSFT", "AAPL")

    def listed(**query: str) -> list[str]:
        status, body = api("1", "GET", "/trades", query=query)
        assert status == 200, body
        return [each["symbol"] for each in body["items"]]

    assert listed(symbol="AAPL") == listed(symbol="aapl") == ["AAPL"]
    assert listed(symbol="JEA40B32D") == listed(symbol="BTC/USDT") == []
    assert listed(account_id="1-main") == ["MSFT", "AAPL"]
    assert listed(account_id="other") == listed(strategy="none") == []
    assert listed(to=first["closed_at"]) == ["AAPL"]
    assert listed(**{"from": last["closed_at"]}) == ["MSFT"]
    assert listed(**{"from": last["closed_at"], "to": first["closed_at"]}) == []
    _, page = api("1", "GET", "/trades", query={"limit": "1"})
    assert [each["symbol"] for each in page["items"]] == ["MSFT"]
    assert listed(limit="1", cursor=page["next"]) == ["AAPL"]


def test_rights_and_bad_queries(api: Api) -> None:
    """A user sees own trades, an admin anybody's. A bad filter is named."""
    trade(BUY, SELL)
    assert api("3", "GET", "/trades")[1]["items"] == []
    assert api("3", "GET", "/trades", query={"user_id": "1"})[0] in (403, 404)
    assert len(api("2", "GET", "/trades", query={"user_id": "1"})[1]["items"]) == 1
    status, body = api("1", "GET", "/trades", query={"from": "yesterday"})
    assert (status, body["code"], "from" in body["error"]) == (400, "invalid_time", True)
    assert api("1", "GET", "/trades", query={"startegy": "a"})[0] == 400


@pytest.mark.parametrize("died_after", [1, 2, 3, 4])
def test_a_killed_worker_neither_loses_nor_doubles_a_trade(died_after: int) -> None:
    """The order worker dies after each of its calls; SQS delivers the message again, and once more."""
    trade(BUY)
    send(SELL)
    event = queue_event(pump.messages("orders-paper"))
    with killed_after(died_after) as made, suppress(Killed):
        execute_orders.handler(event, CONTEXT)
    assert len(made) == died_after
    for _ in range(2):
        execute_orders.handler(event, CONTEXT)
    sweep.requeue(timedelta(0), datetime.now(UTC) + timedelta(minutes=1))
    pump.execute()
    pump.publish()
    assert [item["net_profit"] for item in pump.items("trades")] == [Decimal("393.45")]
    assert [event["type"] for event in pump.events()].count("trade.closed") == 1


def test_a_resting_order_closes_a_trade() -> None:
    """A stop that a price fires, without a signal."""
    records.add_account("1", "sim", kind="demo", exchange="binance")
    records.add_strategy("1", "s", {"1-sim": {"exchange": "binance", "kind": "demo"}})
    token = records.add_token("1")
    body = {
        "group_name": "s",
        "token": token,
        "exchange": "binance",
        "market_type": "FUTURES",
        "currency": "USDT",
        "symbol": "BTCUSDT",
        "order_type": "MARKET",
        "side": "buy",
        "qty_per": 10,
        "stop_loss": 49000,
        "price": 50000,
    }
    trade(body)
    api = Api()
    api.sign_in("1")
    assert api("1", "POST", "/paper/prices", {"symbol": "BTCUSDT", "price": 48900})[0] == 201
    pump.execute()
    [found] = pump.items("trades")
    [stop] = [order_from_item(item) for item in pump.items("orders") if item["leg"].endswith(".sl")]
    assert stop.wanted_price == stop.signal_price == stop.stop_price
    moved = stop.model_copy(update={"stop_price": Decimal(49500)})
    assert moved.wanted_price == 49500  # a stop that has been moved is not compared with where it began
    assert (found["strategy"], found["side"], found["account_id"]) == ("s", "long", "1-sim")
    assert found["net_profit"] < 0
    assert found["slippage_bps"] > 5  # the price fell below the stop
