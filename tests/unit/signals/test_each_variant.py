"""Each variant from webhook to orders, on the paper engine that stands in for the exchanges."""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws, config
from chalicelib.users.credentials import Kind
from functions import receive_signals, serve_api
from testkit import pump, records
from testkit.gateway import call

D = Decimal
GROUP = {
    "group_name": "my_strategy",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "MARKET",
    "side": "buy",
}
FREE = {"currency": "USDT", "slippage_bps": D(0), "commission_bps": D(0)}


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """A user with a demo account on each exchange, without costs, and a strategy on two of them."""
    records.add_user("1", require_token=False, trade_amount=D(100))
    for exchange in ("binance", "bybit"):
        records.add_account("1", exchange, kind="demo", exchange=exchange, **FREE)
    records.add_account("1", "second", kind="demo", exchange="okx", **FREE)
    records.add_strategy(accounts={"1-binance": {}, "1-bybit": {"exchange": "bybit"}})
    records.set_price("BTCUSDT", "50000")


def send(path: str, body: Any, **more: Any) -> tuple[int, Any]:
    """A signal, and its orders done."""
    status, answer, _ = call(receive_signals.app, "POST", path, body, query={"wait": "0"}, **more)
    pump.execute()
    return status, answer


def group(**changes: Any) -> dict[str, Any]:
    """A group signal, and what its sender finds at the status URL."""
    body = {**GROUP, **changes, "token": records.add_token("1")}
    status, answer = send("/api/webhook", {name: value for name, value in body.items() if value is not None})
    if status != 202:
        return {"status": status, **answer}
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    where = {"route": "/signals/{signal_id}", "path_parameters": {"signal_id": answer["signal_id"]}}
    trace = call(serve_api.app, "GET", f"/signals/{answer['signal_id']}", headers=headers, **where)[1]
    assert trace["status"] == "settled"
    return dict(trace["result"])


def orders() -> list[dict[str, Any]]:
    """Returns the stored orders, oldest first."""
    return sorted(
        (item for item in pump.items("orders") if "#" in item["leg"]),
        key=lambda item: (item["account_id"], item["number"]),
    )


def position(account_id: str = "1-binance") -> Decimal:
    """The account's futures position."""
    found = [
        item
        for item in pump.items("portfolios")
        if item["account_id"] == account_id and item["item"] == "position#BTCUSDT"
    ]
    return found[0]["quantity"] if found else D(0)


def test_legacy_spends_the_trade_amount() -> None:
    """The seed's legacy curl buys for the default user's trade amount, in quote currency."""
    assert send("/webhook", '{"symbol": "BTCUSDT", "action": "buy", "price": 50000}')[0] == 202
    [order] = orders()
    assert (order["exchange"], order["market_type"], order["side"]) == ("binance", "spot", "buy")
    assert (order["quantity"], order["value"]) == (D("0.002"), D(100))


def test_personal_with_leverage() -> None:
    """On futures the notional is the trade amount times leverage."""
    records.add_user("1", require_token=False, trade_amount=D(100), leverage=10, market_type="futures")
    records.add_account("1", "binance", kind="demo", exchange="binance", **FREE)
    path = {"route": "/personal/{user_id}/webhook", "path_parameters": {"user_id": "1"}}
    assert (
        send("/personal/1/webhook", {"symbol": "BTCUSDT", "action": "long", "price": 50000}, **path)[0] == 202
    )
    assert position() == D("0.02")
    assert (
        send("/personal/1/webhook", {"symbol": "BTCUSDT", "action": "close", "price": 51000}, **path)[0]
        == 202
    )
    assert position() == 0


def test_personal_for_nobody() -> None:
    """An unknown user is a 404 in the seed's words."""
    path = {"route": "/personal/{user_id}/webhook", "path_parameters": {"user_id": "99"}}
    assert send("/personal/99/webhook", {"symbol": "BTCUSDT", "action": "buy"}, **path) == (
        404,
        {"error": "User not found", "code": "user_not_found"},
    )


def test_xc_trades_the_amount() -> None:
    """The seed's connection string sells that amount of the base on the exchange it names."""
    code = records.add_token("1", Kind.XC_CODE)
    text = (
        f"code={code} strategy_id=MyStrategy demo=YES command={{}} "
        "exchange=binance coinmarket=BTCUSDT amount=0.05"
    )
    assert send("/xc", text.format("buy"))[0] == 202
    assert send("/xc", text.format("sell"))[0] == 202
    assert [(order["side"], order["quantity"]) for order in orders()] == [
        ("buy", D("0.05")),
        ("sell", D("0.05")),
    ]


def test_xc_without_demo_means_demo() -> None:
    """A missing `demo` never reaches real money."""
    records.add_account("1", "real", kind="live", exchange="binance")
    code = records.add_token("1", Kind.XC_CODE)
    send("/xc", f"code={code} command=buy exchange=binance coinmarket=BTCUSDT amount=0.01")
    assert [order["account_id"] for order in orders()] == ["1-binance"]


def test_tokenless_signals_reach_no_real_money() -> None:
    """Without a token a user's live account is out of reach."""
    records.add_user("1", require_token=False, account_type="real")
    records.add_account("1", "real", kind="live", exchange="binance")
    status, answer = send("/webhook", {"symbol": "BTCUSDT", "action": "buy", "price": 50000})
    assert (status, answer["code"]) == (401, "token_missing")


def test_group_single() -> None:
    """Ten percent of the free balance, on the accounts of the exchange named.

    The seed's body field for field.
    """
    result = group(qty_per=10)
    assert result["success"] is True
    assert result["result"]["results"] == [
        {
            "account_id": "1-binance",
            "account_name": "binance",
            "exchange": "binance",
            "success": True,
            "order_id": "1",
            "quantity": 0.2,
            "order_price": 50000,
            "status": "FILLED",
        }
    ]
    assert result["result"]["summary"] == {
        "total_accounts": 2,
        "executed_accounts": 1,
        "successful_trades": 1,
        "failed_trades": 0,
    }


def test_group_batch_takes_one_snapshot() -> None:
    """All legs of a batch are sized from one read of the balance."""
    result = group(
        order_type="LIMIT", orders=[{"price": 40000, "qty_per": 50}, {"price": 40000, "qty_per": 50}]
    )
    assert [order["quantity"] for order in orders()] == [D("1.25"), D("1.25")]
    account = result["result"]["accounts"][0]
    assert (account["successful_orders"], account["failed_orders"]) == (2, 0)
    assert [order["order_index"] for order in account["orders"]] == [0, 1]


def test_buy_and_sell_never_flip() -> None:
    """A sell larger than the long position takes it to flat and no further."""
    group(qty_per=10)
    group(side="sell", qty_per=100)
    assert position() == 0
    assert orders()[-1]["quantity"] == D("0.2")


def test_sell_reduces_by_percent_of_the_position() -> None:
    """Half a sell halves the position."""
    group(qty_per=10)
    group(side="sell", qty_per=50)
    assert position() == D("0.1")


def test_short_reverses_in_two_orders() -> None:
    """A short closes the long position first and opens after."""
    group(side="long", qty_per=10)
    group(side="short", qty_per=10)
    assert [(order["leg"].rpartition("#")[2], order["side"], order["reduce_only"]) for order in orders()] == [
        ("0", "buy", False),
        ("close", "sell", True),
        ("0", "sell", False),
    ]
    assert position() < 0


def test_close_takes_all() -> None:
    """Close takes the whole position, whatever its direction, and is refused where there is none."""
    group(side="short", qty_per=10)
    group(side="close")
    assert position() == 0
    assert group(side="close")["code"] == "no_position"


def test_stop_cancels_then_closes() -> None:
    """Stop takes the symbol's open orders back, then closes."""
    group(qty_per=10)
    group(order_type="LIMIT", price=40000, qty_per=10)
    group(side="stop")
    assert position() == 0
    assert [order["status"] for order in orders()].count("cancelled") == 1


def test_cancel_by_filter() -> None:
    """A cancel takes back this strategy's orders that match, and says how many."""
    group(order_type="LIMIT", price=40000, qty_per=10)
    group(order_type="LIMIT", price=40000, qty_per=10, symbol="ETHUSDT")
    cancel = {
        "order_type": "CANCEL_ALL_ORDER",
        "side": None,
        "market_type": None,
        "currency": None,
        "exchange": None,
    }
    result = group(**cancel, symbol="BTCUSDT")
    assert result["result"]["action"] == "cancel_all_orders"
    assert result["result"]["summary"]["cancelled_orders"] == 1
    assert group(**cancel, symbol=None)["result"]["summary"]["cancelled_orders"] == 1
    assert group(**cancel, symbol=None)["result"]["summary"]["cancelled_orders"] == 0


def test_stop_orders_wait_for_a_price() -> None:
    """A stop order waits for the next price seen, which a signal of the same user brings."""
    group(side="long", qty_per=10)
    group(order_type="STOP_MARKET", side="sell", stop_price=45000, qty_per=100)
    assert orders()[-1]["status"] == "open"
    send("/webhook", {"symbol": "BTCUSDT", "action": "buy", "price": 44000})
    assert position() == 0


def test_no_account_succeeds() -> None:
    """If no account could trade, the answer says why: 422's body, with the result."""
    result = group(symbol="DOGEUSDT")
    assert (result["success"], result["code"]) == (False, "no_price")
    assert result["result"]["summary"]["failed_trades"] == 1


def test_a_failing_account_touches_no_other() -> None:
    """One account without money fails, and no other does."""
    records.add_account("1", "poor", kind="demo", exchange="binance", starting_cash=D(0), **FREE)
    records.add_strategy(accounts={"1-binance": {}, "1-poor": {}})
    result = group(qty_per=10)
    assert result["success"] is True
    assert result["result"]["summary"] == {
        "total_accounts": 2,
        "executed_accounts": 2,
        "successful_trades": 1,
        "failed_trades": 1,
    }


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"group_name": "unknown"}, 404, "strategy_not_found"),
        ({"exchange": "OKX"}, 422, "no_accounts"),
        ({"exchange": None}, 400, "missing_field"),
        ({"symbol": "BTCUSDT.P", "market_type": "SPOT"}, 400, "perpetual_on_spot"),
        ({"quantity": 1}, 400, "quantity_without_percent"),
    ],
)
def test_group_errors_carry_success(change: dict[str, Any], status: int, code: str) -> None:
    """Every error of a group signal says `success: false` and its code."""
    result = group(**change)
    assert (result["status"], result["success"], result["code"]) == (status, False, code)


def test_an_inactive_strategy() -> None:
    """An inactive strategy is answered like an unknown one, in the seed's words in Korean."""
    records.add_strategy(accounts={"1-binance": {}}, is_active=False)
    body = GROUP | {"token": records.add_token("1")}
    status, answer = send("/api/webhook", body, headers={"Accept-Language": "ko"})
    assert (status, answer["error"]) == (404, "활성 전략을 찾을 수 없습니다")


def test_halted_at_execution() -> None:
    """A halt that comes between acceptance and execution stops what opens and lets what closes through."""
    group(side="long", qty_per=10)
    records.halt("account#1-binance")
    assert group(side="buy", qty_per=10)["code"] == "halted"
    assert group(side="close")["success"] is True


def test_many_accounts() -> None:
    """A strategy of many accounts is stored in one item and queued whole, ten messages at a time."""
    records.add_strategy(accounts={str(number): {} for number in range(95)})
    status, _, _ = call(
        receive_signals.app,
        "POST",
        "/api/webhook",
        GROUP | {"token": records.add_token("1")},
        query={"wait": "0"},
    )
    assert status == 202
    [stored] = pump.items("signals")
    assert len(stored["targets"]) == 95
    queued = aws.client("sqs").get_queue_attributes(
        QueueUrl=config.queue("orders-binance"), AttributeNames=["All"]
    )["Attributes"]
    assert queued["ApproximateNumberOfMessages"] == "95"


def test_the_largest_batch() -> None:
    """A batch of 25 orders with an exit before it is one transaction on a paper account.

    Done whole, or not at all.
    """
    group(side="short", qty_per=10)
    batch = [{"stop_price": 60000 + index, "qty_per": 1} for index in range(25)]
    result = group(order_type="STOP_MARKET", side="long", orders=batch)
    assert result["result"]["accounts"][0]["successful_orders"] == 25
    assert position() == 0
    assert len(orders()) == 1 + 1 + 25


@pytest.mark.parametrize("exits", [{"take_profit": 60000}, {"sl": "40000"}, {"tp": 60000, "stopLoss": 40000}])
def test_an_entry_brings_the_exits_it_came_with(exits: dict[str, Any]) -> None:
    """The exits reach the account's instruction, and wait in its book with the entry."""
    result = group(side="long", qty_per=10, **exits)
    [stored] = pump.items("signals")
    told = {
        name: stored["instruction"][name]
        for name in ("take_profit", "stop_loss")
        if name in stored["instruction"]
    }
    assert set(told.values()) == {str(value) for value in exits.values()}
    assert result["success"] is True
    assert position() > 0
    waiting = {order["stop_price"] for order in orders() if order["status"] == "open"}
    assert waiting == {Decimal(value) for value in exits.values()}


def test_exits_on_a_close_are_no_obstacle() -> None:
    """A close that carries exits, as a template for every alert may, closes."""
    group(side="long", qty_per=10)
    assert group(side="close", stop_loss=1)["success"] is True
    assert position() == 0


class TestDemo:
    """`demo=YES` reaches demo accounts only, whatever the settings say."""

    @pytest.fixture(autouse=True)
    def live(self, trader: None) -> None:
        """The user trades live, and also has a demo account."""
        records.add_user("1", require_token=False, trade_amount=D(100), account_type="real")
        records.add_account("1", "binance", kind="demo", exchange="binance", **FREE)
        records.add_account("1", "real", kind="live", exchange="binance")
        records.add_strategy(accounts={"1-binance": {}, "1-real": {"kind": "live"}})

    @pytest.mark.parametrize("path", ["/webhook", "/personal/1/webhook"])
    def test_legacy_and_personal(self, path: str) -> None:
        """A user of live accounts trades on demo once."""
        more = (
            {"route": "/personal/{user_id}/webhook", "path_parameters": {"user_id": "1"}}
            if "personal" in path
            else {}
        )
        body = {"symbol": "BTCUSDT", "action": "buy", "price": 50000}
        assert send(path, body | {"demo": "YES"}, **more)[0] == 202
        assert [order["account_id"] for order in orders()] == ["1-binance"]
        assert send(path, body, **more)[1]["code"] == "token_missing"

    def test_no_makes_no_demo_user_a_live_one(self) -> None:
        """An explicit NO takes what the settings say: demo."""
        records.add_user("1", require_token=False, trade_amount=D(100))
        records.add_account("1", "binance", kind="demo", exchange="binance", **FREE)
        records.add_account("1", "real", kind="live", exchange="binance")
        token = {"X-Webhook-Token": records.add_token("1")}
        assert (
            send(
                "/webhook",
                {"symbol": "BTCUSDT", "action": "buy", "price": 50000, "demo": "NO"},
                headers=token,
            )[0]
            == 202
        )
        assert [order["account_id"] for order in orders()] == ["1-binance"]

    def test_group(self) -> None:
        """Of a strategy's accounts only those with play money take part."""
        result = group(qty_per=10, demo=True)["result"]
        assert [each["account_id"] for each in result["results"]] == ["1-binance"]
        assert result["summary"]["executed_accounts"] == 1


def test_a_risk_needs_the_stop_it_is_measured_by() -> None:
    """A share of the balance, lost at the stop, bounds the order.

    Without a stop nothing says how much that is.
    """
    assert group(side="long", risk_percent=1)["code"] == "risk_needs_stop"
    assert group(side="long", risk=1, stop_loss=49000)["success"] is True


def test_a_position_side_on_an_account_that_has_one_position() -> None:
    """A simulated account is not in hedge mode, and says so instead of trading something else."""
    assert group(side="buy", qty_per=10, positionSide="LONG")["code"] == "hedge_unsupported"
    assert group(side="buy", qty_per=10, position_side="up")["code"] == "invalid_choice"
    assert position() == 0
