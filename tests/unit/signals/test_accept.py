"""Acceptance of signals: senders, duplicates, stale signals, halts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.users.credentials import Kind
from functions import receive_signals, serve_api
from testkit import pump, records
from testkit.gateway import call

ALERT = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 100}


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """User 1 trades on paper and requires a token; so does user 2."""
    for user_id in ("1", "2"):
        records.add_user(user_id)
        records.add_account(user_id)


def send(body: Any = None, path: str = "/api/webhook", **more: Any) -> tuple[int, Any, dict[str, str]]:
    """A signal that waits for nothing."""
    query = {"wait": "0", **more.pop("query", {})}
    return call(receive_signals.app, "POST", path, ALERT if body is None else body, query=query, **more)


def signals() -> int:
    return len(pump.items("signals"))


def test_the_token_by_header_query_or_body() -> None:
    """A token is taken from the header, from the URL or from the body."""
    token = records.add_token("1")
    assert send(ALERT | {"price": 1}, headers={"X-Webhook-Token": token})[0] == 202
    assert send(ALERT | {"price": 2}, query={"token": token})[0] == 202
    assert send(ALERT | {"price": 3, "token": token})[0] == 202
    assert {item["user_id"] for item in pump.items("signals")} == {"1"}


def test_no_token() -> None:
    """Without a token, a user who requires one refuses."""
    status, answer, _ = send()
    assert (status, answer["code"]) == (401, "token_missing")
    assert signals() == 0


@pytest.mark.parametrize("where", ["header", "query", "body"])
def test_a_wrong_token_is_always_checked(where: str) -> None:
    """A wrong token is refused even where tokenless signals are let in."""
    records.add_user("1", require_token=False)
    records.add_account("1")
    wrong = "whk_1_" + "A" * 43
    more = {
        "header": {"headers": {"X-Webhook-Token": wrong}},
        "query": {"query": {"token": wrong}},
        "body": {"body": ALERT | {"token": wrong}},
    }
    status, answer, _ = send(**more[where])
    assert (status, answer["code"]) == (401, "token_wrong")
    assert signals() == 0


def test_two_different_tokens() -> None:
    """Two different tokens are refused: to choose one would be a guess."""
    status, answer, _ = send(
        ALERT | {"token": records.add_token("1")}, query={"token": records.add_token("1")}
    )
    assert (status, answer["code"]) == (400, "conflicting_tokens")


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"expires_at": "2026-01-02T00:00:00+00:00"}, "token_expired"),
        ({"revoked_at": "2026-01-02T00:00:00+00:00"}, "token_wrong"),
    ],
)
def test_a_token_that_is_over(attributes: dict[str, str], code: str) -> None:
    """An expired and a revoked token open nothing."""
    status, answer, _ = send(headers={"X-Webhook-Token": records.add_token("1", **attributes)})
    assert (status, answer["code"]) == (401, code)


def test_an_api_token_posts_no_signal() -> None:
    """An API token is no webhook token."""
    assert send(headers={"X-Webhook-Token": records.add_token("1", Kind.API)})[1]["code"] == "token_wrong"


def test_another_users_token() -> None:
    """A token that names one user and is stored for another, or is used on another's URL, is refused."""
    token = records.add_token("2")
    path = {"route": "/personal/{user_id}/webhook", "path_parameters": {"user_id": "1"}}
    assert (
        send(ALERT, "/personal/1/webhook", headers={"X-Webhook-Token": token}, **path)[1]["code"]
        == "token_wrong"
    )


def test_a_token_chosen_by_hand() -> None:
    """A token that its owner chose, without a user in it, works like any other."""
    from chalicelib import aws
    from chalicelib.users import credentials

    chosen = "correct-horse-battery-staple"
    item = {
        "token_hash": credentials.digest(chosen),
        "kind": "whk",
        "user_id": "2",
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    aws.write(aws.put_write("credentials", item))
    assert send(headers={"X-Webhook-Token": chosen})[0] == 202
    assert pump.items("signals")[0]["user_id"] == "2"


def test_an_address_that_is_not_on_the_list() -> None:
    """With a list of addresses a right token from elsewhere is refused.

    A forwarded header changes nothing.
    """
    records.add_user("1", allowed_addresses=["tradingview", "10.0.0.0/8"])
    records.add_account("1")
    token = records.add_token("1")
    assert send(headers={"X-Webhook-Token": token}, source_ip="52.89.214.238")[0] == 202
    assert send(ALERT | {"price": 2}, headers={"X-Webhook-Token": token}, source_ip="10.1.2.3")[0] == 202
    spoofed = {"X-Webhook-Token": token, "X-Forwarded-For": "52.89.214.238"}
    assert send(ALERT | {"price": 3}, headers=spoofed, source_ip="8.8.8.8")[1]["code"] == "address_refused"


def test_an_address_that_is_not_on_the_tokens_list() -> None:
    """A webhook token with a list of its own works from there alone, in every variant of the user's list."""
    records.add_user("1")
    records.add_account("1")
    bound = {"X-Webhook-Token": records.add_token("1", allowed_addresses=["tradingview", "2001:db8::/32"])}
    free = {"X-Webhook-Token": records.add_token("1")}
    assert send(headers=bound, source_ip="52.89.214.238")[0] == 202
    assert send(ALERT | {"price": 2}, headers=bound, source_ip="2001:db8::7")[0] == 202
    status, answer, _ = send(ALERT | {"price": 3}, headers=bound, source_ip="8.8.8.8")
    assert (status, answer["code"]) == (403, "token_address_refused")
    assert "8.8.8.8" in answer["error"]
    assert send(ALERT | {"price": 4}, headers=free, source_ip="8.8.8.8")[0] == 202


@pytest.mark.parametrize(
    ("permitted", "accepted"),
    [
        ("", {"127.0.0.1", "::1", "203.0.113.7", "0.0.0.0"}),
        ("loopback", {"127.0.0.1", "::1"}),
        ("off", set()),
        ("of", set()),
    ],
)
def test_a_deployment_may_take_no_tokenless_signals(
    permitted: str, accepted: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the user permits, the deployment may still refuse. A token works from everywhere."""
    monkeypatch.setenv("TRADEHOOK_DEFAULT_USER_ID", "1")
    monkeypatch.setenv("TRADEHOOK_TOKENLESS", permitted)
    records.add_user("1", require_token=False)
    records.add_account("1")
    token = {"X-Webhook-Token": records.add_token("1")}
    for number, source_ip in enumerate(("127.0.0.1", "::1", "203.0.113.7", "0.0.0.0")):
        body = ALERT | {"price": 100 + number}
        status, answer, _ = send(body, source_ip=source_ip)
        expected = (202, None) if source_ip in accepted else (401, "token_missing")
        assert (status, answer.get("code")) == expected, source_ip
        assert send(body | {"price": 200 + number}, headers=token, source_ip=source_ip)[0] == 202


def test_an_inactive_user() -> None:
    """An inactive user's signals are refused in the seed's words."""
    records.add_user("1", is_active=False)
    status, answer, _ = send(headers={"X-Webhook-Token": records.add_token("1")})
    assert (status, answer["error"]) == (403, "User is not active")


class TestRepeats:
    """The same signal again."""

    @pytest.fixture(autouse=True)
    def token(self, trader: None) -> None:
        """One sender's token for all of these."""
        self.headers = {"X-Webhook-Token": records.add_token("1")}

    def send(self, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """A signal of this sender."""
        return send(body, headers=self.headers | headers)

    def test_the_same_bytes_within_the_window(self) -> None:
        """The same bytes within 30 s are one signal: the duplicate gets the first answer."""
        first, again = self.send(), self.send()
        assert again[1] == first[1]
        assert again[2]["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first[2]
        assert signals() == 1

    def test_another_signal_between(self) -> None:
        """Buy, sell, buy with the same bytes is three signals: something came between."""
        for body in (ALERT, ALERT | {"side": "sell"}, ALERT):
            assert "Idempotent-Replayed" not in self.send(body)[2]
        assert signals() == 3

    def test_a_signal_for_another_symbol_between(self) -> None:
        """A signal for another symbol in between does not make the duplicate a new one."""
        self.send()
        self.send(ALERT | {"symbol": "MSFT"})
        assert self.send()[2]["Idempotent-Replayed"] == "true"

    def test_after_the_window(self) -> None:
        """With the window turned off the same bytes are a new signal."""
        records.add_user("1", repeat_window_s=0)
        records.add_account("1")
        self.send()
        self.send()
        assert signals() == 2

    @pytest.mark.parametrize("by", ["header", "alert_id", "idempotency_key"])
    def test_the_senders_own_key(self, by: str) -> None:
        """The same key with the same body is one signal, with another body a 409."""
        extra = {} if by == "header" else {by: "k1"}
        headers = {"Idempotency-Key": "k1"} if by == "header" else {}
        self.send(ALERT | extra, **headers)
        self.send(ALERT | {"price": 7})
        assert self.send(ALERT | extra, **headers)[2]["Idempotent-Replayed"] == "true"
        status, answer, _ = self.send(ALERT | extra | {"qty": 2}, **headers)
        assert (status, answer["code"]) == (409, "idempotency_key_reused")
        assert signals() == 2

    def test_different_keys_make_the_same_bytes_two_signals(self) -> None:
        """With a sender's own key, only the key decides."""
        self.send(ALERT, **{"Idempotency-Key": "k1"})
        self.send(ALERT, **{"Idempotency-Key": "k2"})
        assert signals() == 2

    def test_a_refusal_is_not_remembered(self) -> None:
        """A refused signal may be sent again, and is checked again."""
        assert self.send(ALERT | {"account": "later"})[0] == 404
        records.add_account("1", "later")
        assert self.send(ALERT | {"account": "later"})[0] == 202

    def test_the_repeat_after_a_crash_before_the_queue(self) -> None:
        """A duplicate of a signal that never reached its queue sends it there."""
        from testkit.crash import Killed, killed_after

        with killed_after(2), pytest.raises(Killed):
            self.send()
        assert pump.messages("orders-paper") == []
        assert self.send()[2]["Idempotent-Replayed"] == "true"
        assert len(pump.messages("orders-paper")) == 1


def test_too_old_to_open() -> None:
    """A signal older than the user's limit opens nothing; a sale of the holding passes."""
    token = {"X-Webhook-Token": records.add_token("1")}
    old = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    status, answer, _ = send(ALERT | {"timestamp": old}, headers=token)
    assert (status, answer["code"]) == (422, "stale")
    assert send(ALERT | {"timestamp": old, "side": "sell"}, headers=token)[0] == 202


@pytest.mark.parametrize("scope", ["global", "user#1"])
def test_halted(scope: str) -> None:
    """A halt refuses what opens, and lets through what reduces."""
    records.halt(scope)
    token = {"X-Webhook-Token": records.add_token("1")}
    status, answer, _ = send(headers=token)
    assert (status, answer["code"]) == (403, "halted")
    assert send(ALERT | {"side": "sell"}, headers=token)[0] == 202


def test_the_log_has_every_attempt() -> None:
    """Accepted, repeated and refused requests are all in the webhook log, with credentials masked."""
    token = records.add_token("1")
    send(ALERT | {"token": token})
    send(ALERT | {"token": token})
    send(ALERT | {"token": token, "side": "hold"})
    send("{", headers={"X-Webhook-Token": token})
    entries = pump.items("webhook_logs")
    assert sorted(entry["outcome"] for entry in entries) == ["accepted", "refused", "refused", "replayed"]
    assert {entry["owner"] for entry in entries} == {"1"}
    assert token not in json.dumps(entries, default=str)


def test_the_log_shows_what_could_not_be_read() -> None:
    """A broken body is in the log as it came, without the credentials in it, and is found by its outcome and
    code.
    """
    token, bearer = records.add_token("1"), {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    send(
        f'{{"symbol": "AAPL", "token": "{token}", "note": "mine is {token}", ',
        headers={"X-Webhook-Token": token},
    )
    send(ALERT, headers={"X-Webhook-Token": token})
    for query, found in (
        ({"outcome": "refused"}, 1),
        ({"code": "broken_body"}, 1),
        ({"outcome": "accepted"}, 1),
        ({"code": "stale"}, 0),
    ):
        status, answer, _ = call(serve_api.app, "GET", "/webhook-logs", headers=bearer, query=query)
        assert (status, len(answer["items"])) == (200, found)
    [entry] = [entry for entry in pump.items("webhook_logs") if entry["outcome"] == "refused"]
    assert entry["body"].startswith('{"symbol": "AAPL"')
    assert token not in entry["body"]
    assert call(serve_api.app, "GET", "/webhook-logs", headers=bearer, query={"outcome": "lost"})[0] == 400


def test_any_bytes_are_answered() -> None:
    """No body whatever makes a 5xx."""
    token = {"X-Webhook-Token": records.add_token("1")}
    for body in [
        "",
        "\x00",
        "[]",
        "null",
        "{" * 5000,
        '{"a":' * 50,
        "=",
        "a=b",
        "symbol=AAPL side=buy price=1e400",
        '{"symbol": {}}',
    ]:
        status, answer, _ = send(body, headers=token)
        assert 400 <= status < 500, (body, answer)
        assert answer["code"]
