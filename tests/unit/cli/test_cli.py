"""The commands over the API."""

import json

import pytest


def test_a_user_from_creation_to_deactivation(told):
    """The commands for users go through their whole life."""
    user = told("users", "create", "user_id=123456789", "username=ann", "telegram_id=5")
    assert (user["user_id"], user["username"]) == (123456789, "ann")
    assert (
        told("users", "settings", "123456789", "market_type=futures", "trade_amount=100.5", "leverage=10")[
            "trade_amount"
        ]
        == 100.5
    )
    assert told("users", "settings", "123456789")["leverage"] == 10
    assert told("users", "update", "123456789", "first_name=Ann", "referred_by_id=1")["referred_by_id"] == 1
    assert told("users", "referrals", "123456789") == [{"user_id": 1}]
    assert told("users", "deactivate", "123456789")["is_active"] is False
    assert [item["user_id"] for item in told("users", "list", "--no-active")] == [123456789]
    assert told("users", "activate", "123456789")["is_active"] is True


def test_tables_for_people(run, told):
    """Without --json a list is a table and a record its fields."""
    told("users", "create", "user_id=7", "username=[bold]x")
    listed = run("users", "list")
    assert "user_id" in listed.out
    assert "[bold]x" in listed.out
    assert "yes" in run("users", "show", 7).out
    assert run("strategies", "list").out == "none\n"


def test_token_is_alone_on_stdout(run, told):
    """A token can be piped: the sentence about it goes to stderr."""
    made = run("tokens", "create", "1", "--kind", "webhook", "--name", "TV")
    assert made.out.startswith("whk_1_")
    assert made.out.count("\n") == 1
    assert "this once" in made.err
    [listed] = [item for item in told("tokens", "list") if item["kind"] == "webhook"]
    new = told("tokens", "rotate", listed["token_id"], "--overlap-s", "60")
    assert new["token"].startswith("whk_1_")
    assert told("tokens", "revoke", new["token_id"])["is_active"] is False


def test_strategy_with_its_accounts(told, run):
    """Accounts and a strategy, put together, weighted and taken apart."""
    account = told("accounts", "create", "Main Account", "demo", "exchange=binance")["account_id"]
    strategy = told("strategies", "create", "my_strategy", 'symbols=["BTCUSDT"]')["strategy_id"]
    assert told("strategies", "add", strategy, account, "weight=50")["accounts"] == 1
    assert told("strategies", "change", strategy, account, "active=false")["active"] is False
    assert told("strategies", "accounts", strategy)[0]["weight"] == 50
    assert run("accounts", "delete", account).code == 1
    message = run("strategies", "alert-message", strategy, "--variant", "group")
    assert json.loads(message.out)["group_name"] == "my_strategy"
    assert "/api/webhook" in message.err
    assert told("strategies", "remove", strategy, account)["accounts"] == 0
    assert told("accounts", "update", account, "starting_cash=500")["starting_cash"] == 500
    assert told("accounts", "reset", account)["account_id"] == account
    assert told("accounts", "delete", account)["deleted"] is True
    assert told("strategies", "delete", strategy)["deleted"] is True


def test_keys_are_asked_for(told, wire, monkeypatch):
    """Exchange keys are asked for, not given as words that a shell remembers."""
    from chalicelib.accounts import key_encryption

    monkeypatch.setattr(key_encryption, "check", lambda *_: True)
    answers = iter(["the-key-1234", "the-secret", ""])
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
    made = told("accounts", "create", "L", "live", "exchange=bybit", "--keys")
    assert made["api_key_last4"] == "1234"
    assert "the-secret" not in str(made)


def test_halt_and_resume(told):
    """The switches are thrown and listed, and the trail says by whom."""
    assert told("halt", "global", "--reason", "maintenance")["halted"] is True
    assert told("halts")[0]["reason"] == "maintenance"
    assert told("resume", "global")["halted"] is False
    assert [item["action"] for item in told("audit", "--entity", "trading")] == [
        "trading.resumed",
        "trading.halted",
    ]


def test_paper_signal(told, wire, monkeypatch):
    """A test signal goes to its webhook with the token in a header, never in the URL."""
    told("accounts", "create", "main", "paper")
    token = told("tokens", "create", "1")["token"]
    monkeypatch.setenv("TRADEHOOK_PAPER_TOKEN", token)
    answer = told(
        "send", "paper", "--symbol", "AAPL", "--price", "185.50", "--quantity", "100", "--wait", "0"
    )
    assert answer["status"] == "accepted"
    sent = wire.sent[-1]
    assert (sent.method, sent.path, sent.headers["X-Webhook-Token"]) == ("POST", "/api/webhook", token)
    assert json.loads(sent.body)["alert_id"].startswith("test-")


@pytest.mark.parametrize("variant", ["legacy", "personal", "xc", "group", "batch", "cancel"])
def test_every_variant_reaches_its_route(run, admin, wire, variant):
    """Each variant is sent to its own path; none is set up here, so each is refused."""
    price = ["--price", "50000"] if variant == "batch" else []
    assert run("send", variant, *price, "--wait", "0").code == 1
    paths = {"legacy": "/webhook", "personal": "/personal/1/webhook", "xc": "/xc"}
    assert wire.sent[-1].path == paths.get(variant, "/api/webhook")


def test_refusal_is_told_and_exits_with_1(run, admin):
    """What the API refuses is a sentence on stderr, or its JSON."""
    refused = run("users", "show", 99)
    assert (refused.code, refused.out) == (1, "")
    assert "User not found" in refused.err
    assert json.loads(run("users", "show", 99, "--json").err) == {
        "error": "User not found",
        "code": "user_not_found",
        "status": 404,
    }


@pytest.mark.parametrize(
    "words", [("send", "fax"), ("users", "create", "username"), ("users", "create", "=x")]
)
def test_bad_words_are_refused_here(run, admin, words):
    """Invalid input is refused before a request is sent."""
    assert run(*words).code == 1


def test_without_a_token(run, wire, monkeypatch):
    """Without a token the command says which variable is missing."""
    monkeypatch.delenv("TRADEHOOK_ADMIN_TOKEN", raising=False)
    assert "TRADEHOOK_ADMIN_TOKEN" in run("users", "list").err


def test_no_answer(run, admin, monkeypatch):
    """A deployment that is down is named without a traceback and without the token."""
    import requests

    def refuse(*_, **__):
        raise requests.ConnectionError(f"https://x/?token={admin}")

    monkeypatch.setattr(requests.Session, "request", refuse)
    ended = run("users", "list")
    assert ended.code == 1
    assert admin not in ended.err + ended.out


def test_risk_rules(told):
    """Rules are set by field, and listed."""
    set_ = told("rules", "max_daily_loss=100.5", "flatten=true")
    assert (set_["scope"], set_["max_daily_loss"], set_["flatten"]) == ("user", 100.5, True)
    assert told("rules")[0]["max_daily_loss"] == 100.5
    assert told("rules", "max_daily_loss=null")["max_daily_loss"] is None
