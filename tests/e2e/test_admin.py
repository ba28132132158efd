"""Users, money, tickets, rules and the command line, on the local cloud through its public URLs."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from tests.e2e.calls import TIMEOUT_S, eventually, post, settled
from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e

EVENTS = (
    "user.created",
    "payment.completed",
    "transaction.created",
    "ticket.created",
    "ticket.status_changed",
    "ticket.message_added",
)
SECRET = "optional-secret-for-signing"


def api(
    stack: Running, method: str, path: str, body: Any = None, token: str = "", **more: Any
) -> requests.Response:
    """Calls the admin API, by default as an admin."""
    headers = {
        "Authorization": f"Bearer {token or stack.env['TRADEHOOK_ADMIN_TOKEN']}",
        **more.pop("headers", {}),
    }
    return requests.request(
        method, f"{stack.url}{path}", json=body, headers=headers, timeout=TIMEOUT_S, **more
    )


def made(stack: Running, path: str, body: Any, **more: Any) -> dict[str, Any]:
    """What a POST has made."""
    answer = api(stack, "POST", path, body, **more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def new_id() -> int:
    """Returns an unused user id."""
    return 10**9 + uuid.uuid4().int % 10**9


@contextmanager
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP server on loopback that records headers and body of every POST."""
    got: list[dict[str, Any]] = []

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append({"headers": dict(self.headers), "body": body})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keep)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/webhook", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_the_six_events_of_the_admin_seed_arrive(stack: Running) -> None:
    """Each of the six, caused through the API, comes to a subscriber.

    Its type in the header, signed as printed, its fields its own.
    """
    user_id, telegram_id = new_id(), new_id()
    with receiver() as (url, got):
        hooks = [
            made(
                stack,
                "/webhooks",
                {"name": type_, "url": url, "event_type": type_, "secret": SECRET, "description": "six"},
            )
            for type_ in EVENTS
        ]
        code = f"ref{user_id}"
        profile = {
            "telegram_id": telegram_id,
            "username": "testuser",
            "first_name": "Test",
            "last_name": "User",
            "referral_code": code,
        }
        made(stack, "/users", {"user_id": user_id, **profile})
        payment = made(stack, "/payments", {"user_id": user_id, "amount": 50, "currency": "USDT"})
        assert (
            api(stack, "PATCH", f"/payments/{payment['payment_id']}", {"status": "completed"}).status_code
            == 200
        )
        ticket = made(stack, "/tickets", {"user_id": user_id, "title": "A question", "message": "Hello"})
        assert api(stack, "PATCH", f"/tickets/{ticket['ticket_id']}", {"status": "closed"}).status_code == 200

        def mine() -> dict[str, dict[str, Any]]:
            payloads = [(each["headers"]["X-Webhook-Event"], json.loads(each["body"])) for each in list(got)]
            return {type_: payload for type_, payload in payloads if payload.get("user_id") == user_id}

        eventually(lambda: mine().keys() >= set(EVENTS), 60)
        told = mine()
        assert told.keys() >= set(EVENTS)
        for each in got:
            expected = hmac.new(
                SECRET.encode(), json.dumps(json.loads(each["body"]), sort_keys=True).encode(), hashlib.sha256
            ).hexdigest()
            assert each["headers"]["X-Webhook-Signature"] == f"sha256={expected}"
            assert int(each["headers"]["X-Webhook-Id"]) > 0
    assert told["user.created"] == {"user_id": user_id, **profile, "referred_by_id": None}
    assert (told["payment.completed"]["amount"], told["payment.completed"]["currency"]) == ("50", "USDT")
    assert told["transaction.created"]["transaction_id"] == told["payment.completed"]["transaction_id"]
    assert (
        told["ticket.created"]["ticket_id"]
        == told["ticket.status_changed"]["ticket_id"]
        == ticket["ticket_id"]
    )
    assert told["ticket.status_changed"]["new_status"] == "closed"
    assert (told["ticket.message_added"]["message"], told["ticket.message_added"]["is_from_admin"]) == (
        "Hello",
        True,
    )
    for hook in hooks:
        api(stack, "DELETE", f"/webhooks/{hook.get('webhook_id', hook.get('id'))}")


def test_the_user_set_up_of_the_legacy_seed(stack: Running) -> None:
    """Create, settings, activate and deactivate as the seed has them.

    Then its 404, 403 and 400, in its words.
    """
    user_id = new_id()
    made(stack, "/users", {"user_id": user_id})
    settings = {
        "market_type": "futures",
        "trade_amount": 100.0,
        "leverage": 10,
        "account_type": "demo",
        "require_token": False,
    }
    changed = api(stack, "PATCH", f"/users/{user_id}/settings", settings).json()
    assert {name: changed[name] for name in settings} == settings
    made(stack, "/accounts", {"user_id": user_id, "name": "Demo", "kind": "demo", "exchange": "binance"})
    token = made(stack, f"/users/{user_id}/tokens", {"kind": "api"})["token"]
    path, order = f"/personal/{user_id}/webhook", {"symbol": "ETHUSDT", "action": "buy", "price": 3000}
    accepted = post(stack, path, order)
    assert accepted.status_code == 202, accepted.text

    def trace() -> Any:
        found = api(stack, "GET", f"/signals/{accepted.json()['signal_id']}", token=token).json()
        return found if found["status"] == "settled" else None

    [filled] = eventually(trace)["orders"]
    assert filled["market_type"] == "futures"
    assert 990 < filled["quantity"] * 3000 <= 1000, "the trade amount times leverage"
    assert post(stack, "/personal/999999999/webhook", order).json()["error"] == "User not found"
    empty = post(stack, path, data="")
    assert (empty.status_code, empty.json()["error"]) == (400, "No data received")
    assert api(stack, "POST", f"/users/{user_id}/deactivate").json()["is_active"] is False
    inactive = post(stack, path, order | {"price": 3001})
    assert (inactive.status_code, inactive.json()["error"]) == (403, "User is not active")
    assert api(stack, "GET", "/users/me", token=token).status_code == 403
    assert api(stack, "POST", f"/users/{user_id}/activate").json()["is_active"] is True
    assert post(stack, path, order | {"price": 3002}).status_code == 202


def test_a_newcomer_by_telegram_trades_with_the_string_they_were_sent(stack: Running) -> None:
    """`POST /xc` with a chat id: the chat gets the string, which trades, and then the fill."""
    chat_id = new_id()
    answer = post(stack, "/xc", {"chat_id": chat_id})
    assert answer.status_code == 200, answer.text
    assert "code" not in answer.json()
    url = stack.env["TRADEHOOK_TELEGRAM_URL"]

    def said() -> list[str]:
        messages = requests.get(f"{url}/messages", params={"chat_id": chat_id}, timeout=TIMEOUT_S).json()
        return [message["text"] for message in messages["items"]]

    text = eventually(lambda: next(iter(said()), None))
    [string] = [line for line in text.splitlines() if line.startswith("code=")]
    assert string.endswith(
        "strategy_id=MyStrategy demo=YES command=sell exchange=binance coinmarket=BTCUSDT amount=0.05"
    )
    bought = requests.post(
        f"{stack.url}/xc", data=string.replace("command=sell", "command=buy"), timeout=TIMEOUT_S
    )
    assert bought.status_code == 202, bought.text
    assert eventually(lambda: any(each.startswith("Filled: BUY 0.05 BTCUSDT") for each in said())), said()
    sold = requests.post(f"{stack.url}/xc", data=string, timeout=TIMEOUT_S)
    assert sold.status_code == 202
    trace = settled(stack, sold.json()["signal_id"], "TRADEHOOK_ADMIN_TOKEN")
    assert [(order["side"], order["quantity"], order["status"]) for order in trace["orders"]] == [
        ("sell", 0.05, "filled")
    ]


def test_two_admins_at_the_same_settings(stack: Running) -> None:
    """Both saw version 1: one change is stored, the other answered 409, and neither is lost."""
    user_id = new_id()
    made(stack, "/users", {"user_id": user_id})
    changes = [{"leverage": 7, "version": 1}, {"trade_amount": 55, "version": 1}]
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda change: api(stack, "PATCH", f"/users/{user_id}/settings", change), changes)
        )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [lost] = [change for change, answer in zip(changes, answers, strict=True) if answer.status_code == 409]
    [conflict] = [answer.json() for answer in answers if answer.status_code == 409]
    assert (
        api(stack, "PATCH", f"/users/{user_id}/settings", lost | {"version": conflict["version"]}).status_code
        == 200
    )
    settings = api(stack, "GET", f"/users/{user_id}/settings").json()
    assert (settings["leverage"], settings["trade_amount"]) == (7, 55)


def test_a_payment_completed_twice_at_once(stack: Running) -> None:
    """One transaction, however many concurrent requests complete the payment.

    A duplicate under one key makes one payment.
    """
    user_id = new_id()
    made(stack, "/users", {"user_id": user_id})
    body = {"user_id": user_id, "amount": 12.5, "currency": "USDT"}
    key = {"headers": {"Idempotency-Key": uuid.uuid4().hex}}
    payment, again = made(stack, "/payments", body, **key), made(stack, "/payments", body, **key)
    assert payment == again
    path = f"/payments/{payment['payment_id']}"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: api(stack, "PATCH", path, {"status": "completed"}), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert api(stack, "GET", f"/users/{user_id}/balance").json()["balances"] == {"USDT": 12.5}
    assert api(stack, "GET", f"/transactions?user_id={user_id}").json()["total"] == 1


def test_a_daily_loss_halts_twenty_accounts_in_the_middle_of_a_signal(stack: Running) -> None:
    """Costs add up to the limit while the signal runs.

    No order follows, and the user is notified of the halt and of each refusal.
    """
    user_id = new_id()
    made(stack, "/users", {"user_id": user_id})
    owner = made(stack, f"/users/{user_id}/tokens", {"kind": "api"})["token"]
    token = made(stack, f"/users/{user_id}/tokens", {"kind": "webhook"})["token"]
    names = [f"a{number:02}" for number in range(20)]
    ids = [
        made(stack, "/accounts", {"name": name, "kind": "demo", "exchange": "bybit"}, token=owner)[
            "account_id"
        ]
        for name in names
    ]
    made(
        stack,
        "/strategies",
        {"group_name": "crowd", "accounts": [{"account_id": id_} for id_ in ids]},
        token=owner,
    )
    rule = {"scope": "user", "max_daily_loss": 75}
    assert api(stack, "PATCH", "/risk-rules", rule, token=owner).status_code == 200
    signal = {
        "group_name": "crowd",
        "token": token,
        "exchange": "BYBIT",
        "market_type": "FUTURES",
        "currency": "USDT",
    }
    signal |= {"symbol": "BTCUSDT", "order_type": "MARKET", "side": "buy", "qty_per": 10}
    sent = post(stack, "/api/webhook", signal, headers={"Prefer": "respond-async"})
    assert sent.status_code == 202, sent.text
    trace = settled(stack, sent.json()["signal_id"], "TRADEHOOK_ADMIN_TOKEN")
    fees = [order["fee"] for order in trace["orders"]]
    assert sum(fees) >= 75 > sum(fees) - max(fees)
    refused = [leg["code"] for execution in trace["executions"] for leg in execution["refused"]]
    assert refused == ["halted"] * (20 - len(fees))

    def told() -> list[str]:
        return [
            event["type"] for event in api(stack, "GET", "/events?limit=200", token=owner).json()["items"]
        ]

    assert eventually(
        lambda: told().count("signal.refused") == len(refused) and told().count("trading.halted") == 1
    ), told()


def test_orders_and_positions_end_on_request_and_by_time(stack: Running) -> None:
    """One order is cancelled, one position is closed, and one closes by itself after its time."""
    user_id = new_id()
    made(stack, "/users", {"user_id": user_id})
    owner = made(stack, f"/users/{user_id}/tokens", {"kind": "api"})["token"]
    account = {"name": "timed", "kind": "demo", "exchange": "okx"}
    account_id = made(stack, "/accounts", account, token=owner)["account_id"]
    order = {"user_id": user_id, "account_id": account_id, "symbol": "BTCUSDT", "side": "buy"}
    order |= {"market_type": "futures", "quantity": "0.01"}

    def placed(**more: Any) -> dict[str, Any]:
        answer = api(stack, "POST", "/orders", order | more)
        assert answer.status_code == 200, answer.text
        [newest, *_] = api(stack, "GET", "/orders?limit=1", token=owner).json()["items"]
        return dict(newest)

    def held() -> list[Any]:
        return list(api(stack, "GET", "/positions", token=owner).json()["items"])

    resting = placed(order_type="limit", price=1000)
    answer = api(stack, "DELETE", f"/orders/{resting['order_id']}?wait=20", token=owner)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled"), answer.text
    placed()
    assert len(held()) == 1
    answer = api(stack, "POST", "/positions/close", {"account_id": account_id}, token=owner)
    assert answer.status_code == 202, answer.text
    assert eventually(lambda: not held())
    placed(exit_after_s=1)
    assert held()
    assert eventually(lambda: not held(), 150)


def run_command(stack: Running, *words: str, **environment: str) -> Any:
    """What a command prints with --json."""
    command = [sys.executable, "-m", "tradehook", "--json", *words]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **stack.env, **environment},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_the_command_line(stack: Running) -> None:
    """Everything of the command line that goes over the API, against the running stack."""
    user_id = str(new_id())
    assert run_command(stack, "users", "create", f"user_id={user_id}")["user_id"] == int(user_id)
    assert run_command(stack, "users", "settings", user_id, "leverage=3")["leverage"] == 3
    token = run_command(stack, "tokens", "create", user_id, "--kind", "webhook")
    assert token["token"].startswith(f"whk_{user_id}_")
    assert run_command(stack, "tokens", "revoke", token["token_id"], user_id)["is_active"] is False
    account = run_command(stack, "accounts", "create", "Main", "paper", f"user_id={user_id}")
    strategy = run_command(stack, "strategies", "create", "by_hand", f"user_id={user_id}")
    assert (
        run_command(stack, "strategies", "add", str(strategy["strategy_id"]), str(account["account_id"]))[
            "accounts"
        ]
        == 1
    )
    message = run_command(
        stack, "strategies", "alert-message", str(strategy["strategy_id"]), "--variant", "group"
    )
    assert json.loads(message["text"])["group_name"] == "by_hand"
    assert run_command(stack, "halt", "user", user_id, "--reason", "test")["halted"] is True
    assert run_command(stack, "resume", "user", user_id)["halted"] is False
    assert run_command(stack, "rules", "--id", user_id, "cooldown_s=5")["cooldown_s"] == 5
    price = str(100 + time.time() % 1000)
    tail = [sys.executable, "-m", "tradehook", "--json", "tail", "--type", "order.*", "--most", "1"]
    with subprocess.Popen(
        tail, stdout=subprocess.PIPE, text=True, env={**os.environ, **stack.env}
    ) as listening:
        try:
            for _ in range(5):
                time.sleep(2)  # until it listens
                sent = run_command(
                    stack, "send", "paper", "--symbol", "AAPL", "--price", price, "--quantity", "1"
                )
                if listening.poll() is not None:
                    break
            out, _ = listening.communicate(timeout=30)
        finally:
            listening.kill()
    assert sent["status"] in ("ok", "accepted")
    assert json.loads(out.splitlines()[0])["type"].startswith("order.")
    assert any(entry["action"] == "user.created" for entry in run_command(stack, "audit", "--user", user_id))
