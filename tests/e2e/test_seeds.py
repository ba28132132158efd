"""Every request to an inbound webhook that the seeds print, run as printed: host, port and secrets aside."""

import json
import subprocess
import sys
import uuid
from typing import Any

import pytest
import requests

from tests.e2e.calls import TIMEOUT_S, eventually, get, post, settled
from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e

SINGLE_LIMIT = """curl -k -X POST {url}/api/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{
    "group_name": "{group}",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "LIMIT",
    "side": "buy",
    "price": "80000",
    "qty_per": 5,
    "token": "{token}"
  }}'"""

BATCH_LIMIT = """curl -k -X POST {url}/api/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{
    "group_name": "{group}",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "LIMIT",
    "side": "buy",
    "orders": [
      {{"price": 78000, "qty_per": 3}},
      {{"price": 77000, "qty_per": 4}},
      {{"price": 76000, "qty_per": 5}}
    ],
    "token": "{token}"
  }}'"""

BATCH_STOP_LIMIT = """curl -k -X POST {url}/api/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{
    "group_name": "{group}",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "STOP_LIMIT",
    "side": "sell",
    "orders": [
      {{"price": 105000, "stop_price": 104000, "qty_per": 10}},
      {{"price": 107000, "stop_price": 106000, "qty_per": 15}}
    ],
    "token": "{token}"
  }}'"""

CANCEL = """curl -k -X POST {url}/api/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{
    "group_name": "{group}",
    "order_type": "CANCEL_ALL_ORDER",
    "token": "{token}"
  }}'"""

GROUP_CLIENT = """
import requests

def test_webhook(data):
    url = "{url}/api/webhook"
    headers = {{"Content-Type": "application/json"}}

    response = requests.post(url, headers=headers, json=data, verify=False)
    print(f"Status: {{response.status_code}}")
    print(f"Response: {{response.json()}}")

# 배치 주문 테스트
test_webhook({{
    "group_name": "{group}",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "LIMIT",
    "side": "buy",
    "orders": [
        {{"price": 78000, "qty_per": 3}},
        {{"price": 77000, "qty_per": 4}}
    ],
    "token": "{token}"
}})
"""

LEGACY = """curl -X POST {url}/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{"symbol": "BTCUSDT", "action": "buy", "price": 50000}}'"""

PERSONAL = """curl -X POST {url}/personal/123456789/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{"symbol": "ETHUSDT", "action": "buy", "price": 3000}}'"""

PAPER_HEADER = """curl -X POST {url}/api/webhook \\
  -H "Content-Type: application/json" \\
  -H "X-Webhook-Token: {token}" \\
  -d '{{"symbol":"AAPL","side":"buy","qty":100,"price":185}}'"""

PAPER_BODY = """curl -X POST {url}/api/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{"symbol":"AAPL","side":"buy","qty":100,"price":185,"token":"{token}"}}'"""

PAPER_BUY = """curl -X POST {url}/api/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{"symbol":"AAPL","side":"buy","qty":100,"price":185}}'"""

PAPER_SELL = """curl -X POST {url}/api/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{"symbol":"AAPL","side":"sell","qty":100,"price":190}}'"""

CONNECTION = (
    "code={xc_code} strategy_id=MyStrategy demo=YES command=sell "
    "exchange=binance coinmarket=BTCUSDT amount=0.05"
)

ALERT = """{{
  "ticker": "{ticker}",
  "action": "{action}",
  "contracts": {contracts},
  "price": {close}
}}"""


def curl(
    stack: Running, printed: str, token: str = "", lookup: str = "TRADEHOOK_USER_TOKEN"
) -> dict[str, Any]:
    """What a printed curl prints.

    Where this machine was too slow to wait for, the result under the status URL, which is the same.
    """
    command = printed.format(url=stack.url, token=token, group=stack.env["TRADEHOOK_GROUP_NAME"])
    done = subprocess.run(
        command.replace("curl", "curl -s", 1), shell=True, capture_output=True, text=True, check=True
    )
    return settled_body(stack, json.loads(done.stdout), lookup)


def settled_body(stack: Running, body: dict[str, Any], lookup: str) -> dict[str, Any]:
    """The answer itself, or the result it points to."""
    return settled(stack, body["signal_id"], lookup)["result"] if body.get("status") == "accepted" else body


def group(stack: Running, printed: str) -> dict[str, Any]:
    """A group curl with the demo strategy's token."""
    return curl(stack, printed, stack.env["TRADEHOOK_GROUP_TOKEN"], "TRADEHOOK_ADMIN_TOKEN")


def test_the_groups_single_limit(stack: Running) -> None:
    """The single LIMIT curl opens an order on each of the strategy's accounts on Binance.

    The answer has the seed's fields.
    """
    body = group(stack, SINGLE_LIMIT)
    assert body.keys() == {"success", "message", "result"}
    result = body["result"]
    assert result.keys() == {"action", "strategy", "results", "summary"}
    assert (body["success"], result["action"], result["strategy"]) == (
        True,
        "trading_signal",
        stack.env["TRADEHOOK_GROUP_NAME"],
    )
    assert len(result["results"]) == 3
    for each in result["results"]:
        names = (
            "account_id",
            "account_name",
            "exchange",
            "success",
            "order_id",
            "quantity",
            "order_price",
            "status",
        )
        assert each.keys() == set(names)
        assert (each["exchange"], each["success"], each["order_price"], each["status"]) == (
            "binance",
            True,
            80000,
            "PENDING",
        )
        assert each["quantity"] > 0
        assert isinstance(each["account_id"], int)
        assert isinstance(each["order_id"], str)
    assert result["summary"] == {
        "total_accounts": 9,
        "executed_accounts": 3,
        "successful_trades": 3,
        "failed_trades": 0,
    }


def test_the_groups_batch_limit_and_cancel(stack: Running) -> None:
    """The batch curl opens three orders on each account.

    The cancel curl takes back what the strategy has open, and only then none.
    """
    group(stack, CANCEL)
    result = group(stack, BATCH_LIMIT)["result"]
    assert result.keys() == {"action", "strategy", "symbol", "total_orders", "accounts", "summary"}
    assert (result["action"], result["symbol"], result["total_orders"]) == (
        "batch_trading_signal",
        "BTCUSDT",
        3,
    )
    for account in result["accounts"]:
        assert account.keys() == {
            "account_id",
            "account_name",
            "exchange",
            "successful_orders",
            "failed_orders",
            "orders",
        }
        assert (account["successful_orders"], account["failed_orders"]) == (3, 0)
        for index, order in enumerate(account["orders"]):
            assert order.keys() == {
                "order_index",
                "order_id",
                "requested_price",
                "requested_qty_per",
                "success",
            }
            asked = (
                order["order_index"],
                order["requested_price"],
                order["requested_qty_per"],
                order["success"],
            )
            assert asked == (index, 78000 - 1000 * index, 3 + index, True)
    names = (
        "total_accounts",
        "executed_accounts",
        "successful_accounts",
        "total_orders_successful",
        "total_orders_failed",
    )
    assert result["summary"] == dict(zip(names, (9, 3, 3, 9, 0), strict=True))
    cancelled = group(stack, CANCEL)
    assert (cancelled["success"], cancelled["result"]["action"]) == (True, "cancel_all_orders")
    assert cancelled["result"]["summary"]["cancelled_orders"] == 9
    for account in cancelled["result"]["accounts"]:
        assert account.keys() == {
            "account_id",
            "account_name",
            "exchange",
            "cancelled_orders",
            "failed_orders",
        }


def test_the_groups_batch_stop_limit(stack: Running) -> None:
    """The STOP_LIMIT batch waits above the market on each account."""
    result = group(stack, BATCH_STOP_LIMIT)["result"]
    assert (result["action"], result["total_orders"]) == ("batch_trading_signal", 2)
    assert [order["success"] for account in result["accounts"] for order in account["orders"]] == [True] * 6
    assert group(stack, CANCEL)["result"]["summary"]["cancelled_orders"] >= 6


def test_the_groups_single_bodies(stack: Running) -> None:
    """The printed bodies of a market, a limit and a stop-limit order, and of the cancel of one symbol, one
    after the other.
    """
    group(stack, CANCEL)
    body = {"exchange": "BINANCE", "market_type": "FUTURES", "currency": "USDT", "symbol": "BTCUSDT"}
    orders = [
        ({"order_type": "MARKET", "side": "buy", "qty_per": 10}, "FILLED"),
        ({"order_type": "LIMIT", "side": "sell", "price": 105000, "qty_per": 50}, "PENDING"),
        (
            {
                "order_type": "STOP_LIMIT",
                "side": "sell",
                "price": 105000,
                "stop_price": 104000,
                "qty_per": 25,
            },
            "PENDING",
        ),
    ]
    for order, status in orders:
        result = _sent(stack, body | order)["result"]
        assert [(each["success"], each["status"]) for each in result["results"]] == [(True, status)] * 3, (
            result
        )
    cancelled = _sent(stack, {"order_type": "CANCEL_ALL_ORDER", "symbol": "BTCUSDT"})
    assert cancelled["result"]["summary"]["cancelled_orders"] == 6
    assert _sent(stack, body | {"order_type": "MARKET", "side": "close"})["success"] is True


def _sent(stack: Running, body: dict[str, Any]) -> dict[str, Any]:
    """Returns the result of a group signal with the demo strategy's token."""
    named = {"group_name": stack.env["TRADEHOOK_GROUP_NAME"], "token": stack.env["TRADEHOOK_GROUP_TOKEN"]}
    return settled_body(stack, post(stack, "/api/webhook", named | body).json(), "TRADEHOOK_ADMIN_TOKEN")


def test_the_groups_python(stack: Running) -> None:
    """The Python client prints a status of success."""
    group(stack, CANCEL)
    script = GROUP_CLIENT.format(
        url=stack.url, group=stack.env["TRADEHOOK_GROUP_NAME"], token=stack.env["TRADEHOOK_GROUP_TOKEN"]
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(("Status: 200", "Status: 202")), done.stdout
    assert "Response: {" in done.stdout


@pytest.mark.parametrize(
    ("change", "status", "code", "sentence"),
    [
        ({"exchange": None}, 400, "missing_field", "필수 필드 누락: exchange"),
        ({"group_name": "no_such"}, 404, "strategy_not_found", "활성 전략을 찾을 수 없습니다"),
        ({"token": "your_webhook_token"}, 401, "token_wrong", "웹훅 토큰이 유효하지 않습니다"),
    ],
)
def test_the_groups_errors(
    stack: Running, change: dict[str, Any], status: int, code: str, sentence: str
) -> None:
    """The errors the Korean seed lists, in its own words."""
    body = {
        "group_name": stack.env["TRADEHOOK_GROUP_NAME"],
        "token": stack.env["TRADEHOOK_GROUP_TOKEN"],
        "exchange": "BINANCE",
        "market_type": "FUTURES",
        "currency": "USDT",
        "symbol": "BTCUSDT",
        "order_type": "MARKET",
        "side": "buy",
        "qty_per": 10,
    }
    sent = {name: value for name, value in {**body, **change}.items() if value is not None}
    answer = post(stack, "/api/webhook", sent, headers={"Accept-Language": "ko"})
    assert (answer.status_code, answer.json()) == (
        status,
        {"success": False, "error": sentence, "code": code},
    )


def test_the_legacy_webhook(stack: Running) -> None:
    """The legacy curl trades the default user's amount at the price it brought."""
    command = LEGACY.format(url=stack.url).replace("curl", "curl -s", 1)
    body = json.loads(subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout)
    assert body.keys() == {"status", "signal_id", "status_url"}
    trace = settled(stack, body["signal_id"], "TRADEHOOK_ADMIN_TOKEN")
    assert [order["status"] for order in trace["orders"]] == ["filled"]
    assert trace["settings"]["market_type"] == "spot"


def test_the_personal_webhook(stack: Running) -> None:
    """The personal curl trades by the settings of the user in its path, which the trace shows."""
    command = PERSONAL.format(url=stack.url).replace("curl", "curl -s", 1)
    body = json.loads(subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout)
    assert body["status"] == "accepted"
    trace = settled(stack, body["signal_id"])
    [order] = trace["orders"]
    assert (order["symbol"], order["side"], order["status"]) == ("ETHUSDT", "buy", "filled")
    assert order["value"] <= 100.1


@pytest.mark.parametrize(
    ("path", "data", "status", "sentence"),
    [
        (
            "/personal/999999999/webhook",
            '{"symbol": "ETHUSDT", "action": "buy", "price": 3000}',
            404,
            "User not found",
        ),
        ("/personal/123456789/webhook", "", 400, "No data received"),
    ],
)
def test_the_personal_errors(stack: Running, path: str, data: str, status: int, sentence: str) -> None:
    """The errors the Arabic seed lists, in its own words."""
    answer = post(stack, path, data=data)
    assert (answer.status_code, answer.json()["error"]) == (status, sentence)


def test_the_connection_string(stack: Running) -> None:
    """The connection string sells 0.05 BTC on the demo account, and its code is nowhere in the trace."""
    text = CONNECTION.format(xc_code=stack.env["TRADEHOOK_XC_CODE"])
    answer = requests.post(f"{stack.url}/xc", data=text, timeout=TIMEOUT_S)
    assert answer.status_code == 202
    trace = settled(stack, answer.json()["signal_id"])
    [order] = trace["orders"]
    assert (order["symbol"], order["side"], order["quantity"], order["exchange"]) == (
        "BTCUSDT",
        "sell",
        0.05,
        "binance",
    )
    assert stack.env["TRADEHOOK_XC_CODE"] not in json.dumps(trace)


@pytest.mark.parametrize("printed", [PAPER_HEADER, PAPER_BODY])
def test_the_papers_tokens(stack: Running, printed: str) -> None:
    """The curls with a token in the header and in the body fill."""
    body = curl(stack, printed, stack.env["TRADEHOOK_PAPER_TOKEN"])
    assert (body["status"], body["order"]["status"], body["order"]["exec_price"]) == ("ok", "filled", 185.09)


def test_the_papers_tokenless_curls(stack: Running) -> None:
    """The tokenless curls buy and then sell on the default user's account."""
    bought = curl(stack, PAPER_BUY, lookup="TRADEHOOK_ADMIN_TOKEN")
    sold = curl(stack, PAPER_SELL, lookup="TRADEHOOK_ADMIN_TOKEN")
    assert (bought["order"]["side"], sold["order"]["side"]) == ("buy", "sell")
    assert sold["simulation"]["total_cost"] == pytest.approx(
        sold["order"]["value"] - sold["simulation"]["commission"]
    )


def test_the_papers_tradingview_alert(stack: Running) -> None:
    """The alert's template, as TradingView fills it - numbers without quotes - fills.

    Unfilled, it says which placeholder is not.
    """
    headers = {"X-Webhook-Token": stack.env["TRADEHOOK_PAPER_TOKEN"], "Prefer": "wait=20"}
    price = 150 + uuid.uuid4().int % 10_000 / 100
    filled = ALERT.format(ticker="AAPL", action="buy", contracts="1.5", close=price)
    answer = post(
        stack,
        "/api/webhook",
        data=filled,
        headers=headers | {"Content-Type": "application/json; charset=utf-8"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["order"]["requested_qty"] == 1.5
    template = ALERT.format(
        ticker="{{ticker}}",
        action="{{strategy.order.action}}",
        contracts="{{strategy.order.contracts}}",
        close="{{close}}",
    )
    unfilled = post(stack, "/api/webhook", data=template, headers=headers)
    assert (unfilled.status_code, unfilled.json()["code"]) == (400, "placeholder")


def test_the_papers_order_by_hand(stack: Running) -> None:
    """`POST /api/orders` is for a signed-in admin: without a token 401, a user 403, an admin the fill."""
    order = {
        "user_id": 123456789,
        "account": "策略A",
        "symbol": "AAPL",
        "side": "buy",
        "qty": 1,
        "price": 185.50,
    }
    assert post(stack, "/api/orders", order).status_code == 401
    mine = {"Authorization": f"Bearer {stack.env['TRADEHOOK_USER_TOKEN']}"}
    assert post(stack, "/api/orders", order, headers=mine).status_code == 403
    admin = {"Authorization": f"Bearer {stack.env['TRADEHOOK_ADMIN_TOKEN']}", "Prefer": "wait=20"}
    answer = post(stack, "/api/orders", order, headers=admin)
    assert (answer.status_code, answer.json()["order"]["source"], answer.json()["order"]["exec_price"]) == (
        200,
        "manual",
        185.59,
    )
    logged = eventually(
        lambda: get(stack, "/signals?variant=manual&limit=1", "TRADEHOOK_USER_TOKEN").json()["items"]
    )
    assert logged[0]["symbol"] == "AAPL"
