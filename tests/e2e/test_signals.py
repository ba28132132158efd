"""Every way in, at the public URL.

TradingView's manners, order within an account, independence between accounts, many followers.
"""

import socket
import time
import uuid
from typing import Any

import pytest
import requests
from boto3.dynamodb.types import TypeSerializer

from tests.e2e.calls import TIMEOUT_S, eventually, get, paper, post, settled
from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e

DESK = "3"  # owns the demo strategy
LIMIT = {
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "LIMIT",
    "side": "buy",
}


def group(stack: Running, body: dict[str, Any], name: str | None = None) -> requests.Response:
    """A signal of a strategy, which waits for nothing; the key makes it a signal of its own."""
    named = {
        "group_name": name or stack.env["TRADEHOOK_GROUP_NAME"],
        "token": stack.env["TRADEHOOK_GROUP_TOKEN"],
    }
    return post(
        stack,
        "/api/webhook",
        named | body | {"alert_id": uuid.uuid4().hex},
        headers={"Prefer": "respond-async"},
    )


def put(stack: Running, table: str, items: list[dict[str, Any]]) -> None:
    """Writes records as the product stores them."""
    client, name = stack.cloud.client("dynamodb"), stack.cloud.table(table)
    serialize = TypeSerializer().serialize
    rows = [
        {"PutRequest": {"Item": {key: serialize(value) for key, value in item.items()}}} for item in items
    ]
    for start in range(0, len(rows), 25):
        assert not client.batch_write_item(RequestItems={name: rows[start : start + 25]})["UnprocessedItems"]


def followers(stack: Running, group_name: str, account_ids: list[str], stored: list[str]) -> None:
    """A strategy with these demo accounts on Binance; `stored` are the ones that have a record."""
    put(stack, "accounts", [account(account_id) for account_id in stored])
    member = {"exchange": "binance", "kind": "demo", "market_types": ["spot", "futures"], "active": True}
    members = {account_id: {"name": f"follower {account_id}", **member} for account_id in account_ids}
    put(
        stack,
        "strategies",
        [{"user_id": DESK, "group_name": group_name, "is_active": True, "accounts": members, "version": 1}],
    )


def account(account_id: str) -> dict[str, Any]:
    """A demo account that is simulated."""
    named = {"account_id": account_id, "user_id": DESK, "name": f"follower {account_id}", "version": 1}
    return named | {"exchange": "binance", "kind": "demo", "currency": "USDT", "is_active": True}


def test_tradingview_sends_four_times_and_hangs_up(stack: Running) -> None:
    """The same bytes four times, the first answers never read.

    One signal, one order, and the last answer is the first signal's.
    """
    symbol = "TV" + uuid.uuid4().hex[:3].translate(str.maketrans("0123456789", "GHIJKLMNOP")).upper()
    body = f'{{"ticker": "{symbol}", "action": "buy", "contracts": 1, "price": 101.25}}\n'.encode()
    host, port = stack.url.removeprefix("http://").split(":")
    head = (
        f"POST /api/webhook HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"X-Webhook-Token: {stack.env['TRADEHOOK_PAPER_TOKEN']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for patience in (0.0, 0.05, 1.0):
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(patience)  # and hangs up, whatever has come
    headers = {
        "X-Webhook-Token": stack.env["TRADEHOOK_PAPER_TOKEN"],
        "Content-Type": "text/plain; charset=utf-8",
        "Prefer": "wait=20",
    }
    last = post(stack, "/api/webhook", data=body, headers=headers)
    assert last.status_code == 200, last.text
    assert last.headers["Idempotent-Replayed"] == "true"
    trace = settled(stack, last.headers["X-Signal-Id"])
    assert [order["status"] for order in trace["orders"]] == ["filled"]
    assert [
        each["signal_id"]
        for each in get(stack, f"/signals?symbol={symbol}", "TRADEHOOK_USER_TOKEN").json()["items"]
    ] == [trace["signal_id"]]
    logged = get(stack, "/webhook-logs?limit=10", "TRADEHOOK_USER_TOKEN").json()["items"]
    assert [entry["outcome"] for entry in logged if symbol in entry["body"]].count("accepted") == 1


def test_one_account_in_order(stack: Running) -> None:
    """An entry, a cancel and another entry in the same second.

    The cancel takes the first back and not the second, on each account.
    """
    group(stack, {"order_type": "CANCEL_ALL_ORDER"})
    answers = [
        group(stack, LIMIT | {"price": 41000, "qty_per": 1}),
        group(stack, {"order_type": "CANCEL_ALL_ORDER"}),
        group(stack, LIMIT | {"price": 42000, "qty_per": 1}),
    ]
    assert [answer.status_code for answer in answers] == [202] * 3
    second, cancel, first = [
        settled(stack, answer.json()["signal_id"], "TRADEHOOK_ADMIN_TOKEN") for answer in reversed(answers)
    ]
    assert cancel["result"]["result"]["summary"]["cancelled_orders"] == 3
    assert [order["status"] for order in first["orders"]] == ["cancelled"] * 3
    assert [order["status"] for order in second["orders"]] == ["open"] * 3
    group(stack, {"order_type": "CANCEL_ALL_ORDER"})


def test_one_paper_account_in_order(stack: Running) -> None:
    """Ten orders within a second, each a duplicate of the one before the last.

    They are numbered in the order of arrival.
    """
    answers = [
        paper(stack, {"symbol": "ORDR", "side": side, "qty": 1, "price": 10}, Prefer="respond-async")
        for side in ["buy", "sell"] * 5
    ]
    traces = [settled(stack, answer.json()["signal_id"]) for answer in answers]
    numbers = [order["number"] for trace in traces for order in trace["orders"]]
    assert len(numbers) == 10
    assert numbers == sorted(numbers)
    assert [order["side"] for trace in traces for order in trace["orders"]] == ["buy", "sell"] * 5


def test_accounts_do_not_wait_for_each_other(stack: Running) -> None:
    """While one account's message cannot be carried out, the other accounts trade, this signal and the next.

    Then that one does too.
    """
    name, good, stuck = f"apart-{uuid.uuid4().hex[:6]}", "990001", "990002"
    followers(stack, name, [good, stuck], stored=[good])
    market = LIMIT | {"order_type": "MARKET", "qty_per": 1}
    answers = [group(stack, market, name), group(stack, market | {"side": "sell"}, name)]

    def done(answer: requests.Response) -> list[str]:
        trace = get(stack, f"/signals/{answer.json()['signal_id']}").json()
        return [execution["account_id"] for execution in trace["executions"]]

    for answer in answers:
        assert eventually(lambda answer=answer: done(answer) == [good]), done(answer)
    put(stack, "accounts", [account(stuck)])
    for answer in answers:
        trace = settled(stack, answer.json()["signal_id"], "TRADEHOOK_ADMIN_TOKEN")
        assert sorted(order["account_id"] for order in trace["orders"]) == [good, stuck]


def test_many_followers(stack: Running) -> None:
    """Each of a strategy's accounts trades once, or says why it did not.

    What a thousand take is measured by `make bench`.

    A slow machine may still be at it after a minute, when the signal has become too old to open anything.
    """
    name = f"many-{uuid.uuid4().hex[:6]}"
    ids = [str(100_000 + number) for number in range(100)]
    followers(stack, name, ids, stored=ids)
    market = LIMIT | {"order_type": "MARKET", "qty_per": 1}
    answer = group(stack, market, name)
    assert answer.status_code == 202
    signal_id = answer.json()["signal_id"]

    def executions() -> bool:
        shown = stack.cloud.client("dynamodb").query(
            TableName=stack.cloud.table("orders"),
            KeyConditionExpression="signal_id = :signal",
            FilterExpression="attribute_exists(settled_at)",
            ExpressionAttributeValues={":signal": {"S": signal_id}},
            Select="COUNT",
        )
        return bool(shown["Count"] == len(ids))

    assert eventually(executions, within_s=90)
    trace = settled(stack, signal_id, "TRADEHOOK_ADMIN_TOKEN")
    late = [
        each["account_id"]
        for each in trace["executions"]
        if [leg["code"] for leg in each["refused"]] == ["stale"]
    ]
    assert sorted([order["account_id"] for order in trace["orders"]] + late) == ids
    assert {order["status"] for order in trace["orders"]} == {"filled"}
    assert trace["queued"] is True


def test_a_tokens_limit(stack: Running) -> None:
    """A token with a limit of its own is answered 429 beyond it, and shows when it was used last."""
    user = {"Authorization": f"Bearer {stack.env['TRADEHOOK_USER_TOKEN']}"}
    made = post(
        stack, "/users/me/tokens", {"kind": "webhook", "name": "slow", "signals_per_minute": 2}, headers=user
    ).json()

    def send(price: int) -> requests.Response:
        headers = {"X-Webhook-Token": made["token"], "Prefer": "respond-async"}
        return post(
            stack,
            "/api/webhook",
            {"symbol": "AAPL", "side": "buy", "qty": 1, "price": price},
            headers=headers,
        )

    answers = [send(price) for price in range(201, 206)]  # the minute may turn once between them
    assert [answer.status_code for answer in answers[:2]] == [202, 202]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["code"] == "too_many_requests"
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    listed = get(stack, "/users/me/tokens?kind=webhook", "TRADEHOOK_USER_TOKEN").json()["items"]
    [shown] = [item for item in listed if item["token_id"] == made["token_id"]]
    assert shown["last_used_at"] >= made["created_at"]


def test_a_missed_alert_is_told(stack: Running) -> None:
    """An alert that does not follow from the one before says so in its trace."""
    side = LIMIT | {"order_type": "MARKET", "qty_per": 1, "symbol": "ETHUSDT"}
    first = group(stack, side | {"prev_market_position": "flat", "market_position": "long"}).json()[
        "signal_id"
    ]
    second = group(stack, side | {"prev_market_position": "flat", "market_position": "long"}).json()[
        "signal_id"
    ]
    trace = settled(stack, second, "TRADEHOOK_ADMIN_TOKEN")
    assert (trace["missed"]["last_signal_id"], trace["missed"]["known_position"]) == (first, "long")
    assert "signal.missed" in [event["type"] for event in trace["events"]]
    group(stack, side | {"side": "close"})
