"""A paper alert on its whole way: front door, acceptance, queue, execution, event log, topic, WebSocket."""

import re
import subprocess
import sys
import uuid
from typing import Any

import pytest
import requests

from tests.e2e.calls import eventually, get, heard, paper, post, settled
from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e

SEED_CURL = """curl -s -X POST {url}/api/webhook \\
  -H "Content-Type: application/json" \\
  -d '{{"symbol":"AAPL","side":"buy","qty":100,"price":185}}'"""

SEED_CLIENT = """
import requests

WEBHOOK_URL = '{url}/api/webhook'
WEBHOOK_TOKEN = '{token}'

def send_signal(symbol, side, qty, price, account=None):
    data = {{
        'symbol': symbol,
        'side': side,
        'qty': qty,
        'price': price
    }}
    if account:
        data['account'] = account

    headers = {{'Content-Type': 'application/json'}}
    if WEBHOOK_TOKEN:
        headers['X-Webhook-Token'] = WEBHOOK_TOKEN

    resp = requests.post(WEBHOOK_URL, json=data, headers=headers)
    return resp.json()

print(send_signal('AAPL', 'buy', 100, 185.50))
print(send_signal('TSLA', 'sell', 50, 250, account='策略B'))
"""


def test_the_seeds_figures(stack: Running) -> None:
    """100 AAPL at 185.50 fill at 185.59 and cost 18577.56, to the cent, in the seed's body."""
    answer = paper(stack, {"symbol": "AAPL", "side": "buy", "qty": 100, "price": 185.50}, Prefer="wait=20")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "ok"
    assert body["order"].keys() == {
        *(
            "id",
            "symbol",
            "side",
            "requested_qty",
            "filled_qty",
            "requested_price",
            "exec_price",
            "value",
            "time",
            "status",
            "source",
        )
    }
    wanted = {
        "symbol": "AAPL",
        "side": "buy",
        "requested_qty": 100,
        "filled_qty": 100,
        "requested_price": 185.50,
        "exec_price": 185.59,
    }
    assert {name: body["order"][name] for name in wanted} == wanted
    assert (body["order"]["value"], body["order"]["status"], body["order"]["source"]) == (
        18559,
        "filled",
        "webhook",
    )
    assert body["simulation"] == {
        "slippage": 0.09,
        "commission": 18.56,
        "fill_rate": 1.0,
        "total_cost": 18577.56,
    }


def test_the_seeds_curl_as_printed(stack: Running) -> None:
    """The seed's curl, host and port aside, fills."""
    # The headers name the signal, whether it has filled yet or not
    command = f"{SEED_CURL.format(url=stack.url)} --include"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    [signal_id] = re.findall(r"(?im)^x-signal-id: (\S+)", done.stdout)
    [order] = settled(stack, signal_id, "TRADEHOOK_ADMIN_TOKEN")["orders"]
    assert (order["side"], order["quantity"], order["status"]) == ("buy", 100, "filled")


def test_the_seeds_python_as_printed(stack: Running) -> None:
    """The seed's Python client buys AAPL and sells TSLA from the second account."""
    script = SEED_CLIENT.format(url=stack.url, token=stack.env["TRADEHOOK_PAPER_TOKEN"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.count("'status': 'ok'") == 2, done.stdout


@pytest.mark.parametrize(
    "body",
    [
        '{"ticker": "AAPL", "action": "buy", "contracts": 1, "price": 101.5}\n',
        "ticker=AAPL action=buy contracts=1 price=102.5",
        "symbol=AAPL;side=buy;qty=1;price=103.5\r\n",
    ],
)
def test_tradingviews_plain_text(stack: Running, body: str) -> None:
    """TradingView sends text/plain when a newline trails, and some senders send key=value: both fill."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Webhook-Token": stack.env["TRADEHOOK_PAPER_TOKEN"],
        "Prefer": "wait=20",
    }
    answer = post(stack, "/api/webhook", data=body.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["order"]["status"] == "filled"


def test_the_fill_reaches_the_dashboard(stack: Running) -> None:
    """A WebSocket client gets the signal and its fill, each once, in sequence, with money as strings."""
    answers: list[requests.Response] = []
    price = 150 + uuid.uuid4().int % 10_000 / 100

    def act() -> None:
        answers.append(
            paper(stack, {"symbol": "MSFT", "side": "buy", "qty": 2, "price": price}, Prefer="wait=20")
        )

    def told(messages: list[Any]) -> bool:
        return any(
            m["type"] == "order.filled" and m["payload"]["signal_id"] == answers[0].headers["X-Signal-Id"]
            for m in messages
        )

    messages = heard(stack, "TRADEHOOK_USER_TOKEN", [], told, act)
    # Not necessarily first: an event of an earlier test may still be on its way when the connection opens.
    assert {
        "type": "connection",
        "status": "connected",
        "message": "WebSocket connection established",
    } in messages
    mine = [m for m in messages if m.get("payload", {}).get("signal_id") == answers[0].headers["X-Signal-Id"]]
    assert [m["type"] for m in mine] == ["signal.accepted", "order.filled"]
    assert mine[1]["payload"]["quantity"] == "2"
    assert mine[0]["sequence"] < mine[1]["sequence"]


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ("", 400, "no_data", "No data received"),
        ("{", 400, "broken_body", ""),
        ("[1, 2]", 400, "not_an_object", ""),
        ("x" * 1_000_000, 413, "too_large", ""),
        ('{"symbol": "NOTRADE", "side": "buy", "qty": [1], "price": 1}', 400, "invalid_number", "qty"),
        ('{"symbol": "NOTRADE", "side": "hold", "price": 1}', 400, "invalid_choice", "side"),
        ('{"symbol": "NOTRADE", "side": "buy", "qty": -1, "price": 1}', 400, "must_be_positive", "qty"),
        ('{"symbol": "NOTRADE", "side": "buy", "qty": 0, "price": 1}', 400, "must_be_positive", "qty"),
        ('{"symbol": "NOTRADE", "side": "buy", "qty": NaN, "price": 1}', 400, "invalid_number", "qty"),
        ('{"symbol": "NOTRADE", "side": "buy", "qty": 1e999, "price": 1}', 400, "out_of_range", "qty"),
        ('{"symbol": "NOTRADE", "side": "buy", "qty": 1}', 400, "missing_field", "price"),
        (
            '{"symbol": "NOTRADE", "side": "buy", "qty": 1, "price": 1, "account": "none"}',
            404,
            "account_not_found",
            "none",
        ),
    ],
)
def test_bad_input(stack: Running, body: str, status: int, code: str, named: str) -> None:
    """Bad input gets its status and a message that names the field.

    Nothing trades, and the attempt is in the webhook log.
    """
    answer = post(
        stack,
        "/api/webhook",
        data=body.encode(),
        headers={"X-Webhook-Token": stack.env["TRADEHOOK_PAPER_TOKEN"]},
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert named in answer.json()["error"]
    assert not [order for order in stack.items("orders") if order.get("symbol") == {"S": "NOTRADE"}]
    logged = get(stack, "/webhook-logs?limit=1", "TRADEHOOK_USER_TOKEN").json()["items"][0]
    assert (logged["outcome"], logged["code"]) == ("refused", code)


def test_a_wrong_token(stack: Running) -> None:
    """A wrong token is a 401, even where tokenless signals are let in; the token is in no log."""
    answer = post(
        stack, "/api/webhook", {"symbol": "AAPL", "side": "buy", "price": 1, "token": "whk_1_" + "x" * 30}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "token_wrong")
    logged = get(stack, "/webhook-logs?user_id=unknown&limit=20").json()["items"]
    assert any(entry["code"] == "token_wrong" for entry in logged)
    assert all("x" * 30 not in str(entry) for entry in logged)


def test_not_enough_money(stack: Running) -> None:
    """A refusal has the needed and the available amount, in the seed's words, and changes nothing."""
    body = {"symbol": "AAPL", "side": "buy", "qty": 1_000_000, "price": 185.50}
    answer = paper(stack, body, **{"Accept-Language": "zh", "Prefer": "wait=20"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "insufficient_funds"
    assert answer.json()["error"].startswith("资金不足: 需要 185775590.00, 可用 ")


def test_a_repeat_trades_once(stack: Running) -> None:
    """The same bytes again, as TradingView re-sends them, get the first answer and trade nothing."""
    body = {"symbol": "NVDA", "side": "buy", "qty": 1, "price": 120 + uuid.uuid4().int % 1000 / 100}
    first = paper(stack, body, Prefer="wait=20")
    again = [paper(stack, body, Prefer="wait=20") for _ in range(3)]
    assert [answer.json() for answer in again] == [first.json()] * 3
    assert {answer.headers.get("Idempotent-Replayed") for answer in again} == {"true"}
    trace = settled(stack, first.headers["X-Signal-Id"])
    assert len(trace["orders"]) == 1


def test_exits_that_manage_themselves(stack: Running) -> None:
    """A take-profit closes half, the stop of the rest goes to the entry and follows, and closes it."""
    body = {"symbol": "EXITS", "side": "buy", "qty": 10, "price": 400, "stop_loss": "5%"}
    body |= {"take_profits": [{"percent": 5, "share": 50}], "break_even_after": 1, "trailing_stop": "8%"}
    signal_id = paper(stack, body, Prefer="wait=20").headers["X-Signal-Id"]
    average = next(order["average_price"] for order in settled(stack, signal_id)["orders"])
    token = {"Authorization": f"Bearer {stack.env['TRADEHOOK_USER_TOKEN']}"}

    def orders() -> dict[str, dict[str, Any]]:
        return {order["leg"]: order for order in settled(stack, signal_id)["orders"]}

    def see(price: int) -> None:
        post(stack, "/paper/prices", {"symbol": "EXITS", "price": price}, headers=token).raise_for_status()

    see(421)
    assert eventually(lambda: orders()["0.tp"]["status"] == "filled"), orders()
    assert orders()["0.slb"]["stop_price"] == average
    see(500)
    assert eventually(lambda: orders()["0.slb"]["stop_price"] == 460), orders()
    see(459)
    assert eventually(lambda: orders()["0.slb"]["status"] == "filled"), orders()
    assert all(order["status"] != "open" for order in orders().values())


def test_answering_before_the_fill(stack: Running) -> None:
    """Who will not wait is answered 202 at once, and finds the seed's body at the status URL."""
    answer = paper(stack, {"symbol": "AMD", "side": "buy", "qty": 1, "price": 99.5}, Prefer="respond-async")
    assert answer.status_code == 202
    signal_id = answer.json()["signal_id"]
    assert answer.json()["status_url"] == f"{stack.url}/signals/{signal_id}"
    assert settled(stack, signal_id)["result"]["order"]["status"] == "filled"


def test_foreign_eyes(stack: Running) -> None:
    """Another user's signal is not to be found, and without a token nothing is."""
    answer = post(stack, "/api/webhook", {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 180.25})
    signal_id = answer.headers["X-Signal-Id"]
    assert get(stack, f"/signals/{signal_id}", "TRADEHOOK_USER_TOKEN").status_code == 404
    assert requests.get(f"{stack.url}/signals/{signal_id}", timeout=10).status_code == 401
    assert eventually(lambda: get(stack, f"/signals/{signal_id}").status_code == 200)
