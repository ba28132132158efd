"""Connection strings: only to the chat."""

import json

import pytest

from chalicelib import aws
from chalicelib.http import Route
from chalicelib.telegram.hand_out import PER_CHAT, hand_out
from chalicelib.users import store as users
from chalicelib.users import xc_codes
from chalicelib.users.create import create_user
from functions.chalice_app import Served, build
from testkit.gateway import call
from tests.unit.telegram.conftest import CHAT, drain, texts, write

app = build(
    "receive_signals",
    Served(
        [Route("POST", "/xc", lambda request: hand_out(json.loads(request.body).get("chat_id"), request))]
    ),
)


def ask(chat_id=CHAT):
    return call(app, "POST", "/xc", {"chat_id": chat_id})


def connection(user_id):
    code = xc_codes.get_or_create(user_id)
    return (
        f"code={code} strategy_id=MyStrategy demo=YES command=sell "
        "exchange=binance coinmarket=BTCUSDT amount=0.05"
    )


def test_a_known_chat_gets_its_users_string(telegram):
    """The string, the URL and the tutorial go to the chat; the answer has none of it."""
    create_user(by="test", user_id=7, telegram_id=CHAT)
    status, body, _ = ask()
    assert (status, body["status"]) == (200, "ok")
    drain()
    [said] = texts(telegram)
    assert connection("7") in said
    assert "Webhook URL: http://localhost:8080/xc" in said
    assert "How to connect: https://" in said
    assert xc_codes.get_or_create("7") not in json.dumps(body)


def test_an_unknown_chat_gets_a_user_with_demo_settings(telegram):
    """A new chat becomes a user, once, and the code stays the same."""
    ask()
    ask()
    drain()
    user_id = users.lookup("telegram_id", CHAT)
    assert users.settings(user_id).account_type == "demo"
    [entry] = users.directory(user_id).accounts.values()
    assert (entry.exchange, entry.kind) == ("binance", "demo"), "so that the first signal finds an account"
    account = aws.get("accounts", {"account_id": entry.account_id})
    assert (account["user_id"], account["name"], account["starting_cash"]) == (user_id, "Demo", 100_000)
    assert account["created_at"] == account["updated_at"] == users.user(user_id).created_at.isoformat()
    assert [connection(user_id) in said for said in texts(telegram)] == [True, True]


def test_the_code_is_nowhere_but_in_the_chat(telegram):
    """Neither the queue nor the webhook log nor an event nor the audit trail holds the code."""
    ask()
    drain()
    user_id = users.lookup("telegram_id", CHAT)
    code = xc_codes.get_or_create(user_id)
    client = aws.client("dynamodb")
    for table in ("webhook_logs", "outbox", "audit", "telegram", "users", "credentials"):
        assert code not in str(client.scan(TableName=f"test-{table}")["Items"])
    [entry] = aws.query_all("webhook_logs", "#owner = :owner", owner=user_id)
    assert (entry["outcome"], entry["route"], entry["body"]) == ("accepted", "/xc", '{"chat_id": 4567}')


def test_a_chat_is_not_spammed(telegram):
    """After a few hand-outs to a chat the next is a 429 that says when; another chat is not concerned."""
    assert [ask()[0] for _ in range(PER_CHAT)] == [200] * PER_CHAT
    status, body, headers = ask()
    assert (status, body["code"]) == (429, "too_many_requests")
    assert 0 < int(headers["Retry-After"]) <= 600
    assert ask(1234)[0] == 200
    write("/xc")
    drain()
    assert texts(telegram)[-1].startswith("That was asked for too often.")


@pytest.mark.parametrize("chat_id", [None, "", "abc", -100, 0, True, 1.5, [1], 2**60, "9" * 5000, "１２"])
def test_what_is_no_private_chat(chat_id):
    """Groups and nonsense are a 400 that names the field."""
    status, body, _ = ask(chat_id)
    assert (status, body["code"]) == (400, "invalid_number")
    assert "chat_id" in body["error"]


def test_a_number_may_be_text(telegram):
    """Form-minded senders quote the id."""
    assert ask(str(CHAT))[1]["chat_id"] == CHAT


def test_a_deployment_may_take_known_chats_only(telegram, monkeypatch):
    """With the setting, a chat that never wrote to the bot gets nothing, and no user is created."""
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_KNOWN_CHATS_ONLY", "true")
    assert ask()[0] == 404
    assert users.lookup("telegram_id", CHAT) is None
    write("/help")
    assert ask()[0] == 200


def test_xc_in_the_chat(telegram):
    """/xc makes a user of who writes it, with the names of their Telegram, and sends the string."""
    write("/xc")
    write("/xc")
    drain()
    user_id = users.lookup("telegram_id", CHAT)
    assert users.user(user_id).username == "ada"
    [said] = texts(telegram)
    assert connection(user_id) in said


def test_an_inactive_user_gets_no_string(telegram):
    """A code that opens nothing is not handed out in the chat."""
    create_user(by="test", user_id=7, telegram_id=CHAT, is_active=False)
    write("/xc")
    drain()
    assert texts(telegram) == ["Your account is not active."]


def test_newcomers_of_one_ipv6_network_count_together():
    """An IPv6 address counts by its /64, because each IPv6 customer has a whole one."""
    from chalicelib.telegram.hand_out import _network

    assert _network("2001:db8:1:2::1") == _network("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert _network("192.0.2.1") == "192.0.2.1"


def test_beyond_local_only_known_chats_make_users(monkeypatch):
    """A deployment that says nothing takes no strangers; the local stack does."""
    from chalicelib.telegram.hand_out import _known_chats_only

    monkeypatch.setenv("TRADEHOOK_STAGE", "prod")
    assert _known_chats_only() is True
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_KNOWN_CHATS_ONLY", "false")
    assert _known_chats_only() is False
