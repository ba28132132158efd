"""The source of a request, duplicates by its key, and its maximum age."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.signals import store
from chalicelib.users import credentials
from chalicelib.users.credentials import Kind
from functions import receive_signals, serve_api
from testkit import pump, records
from testkit.gateway import CONTEXT, call, request

PAPER = {"symbol": "BTCUSDT", "side": "buy", "qty": 1, "price": 100}
PERSONAL = {"symbol": "BTCUSDT", "side": "buy", "price": 50000}
GROUP = {
    "group_name": "grp",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "MARKET",
    "side": "buy",
}
WRONG = "whk_1_" + "A" * 43


@pytest.fixture(autouse=True)
def trader(emulated: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """User 1 trades futures on a demo account, on paper and by two strategies.

    User 9 is the default user and takes tokenless signals.
    """
    for user_id, more in (("1", {}), ("9", {"require_token": False})):
        records.add_user(user_id, market_type="futures", **more)
        records.add_account(user_id)
        records.add_account(user_id, "demo", kind="demo", exchange="binance", currency="USDT")
    for name in ("grp", "other"):
        records.add_strategy("1", name, {"1-demo": {"name": "demo"}})
    monkeypatch.setenv("TRADEHOOK_DEFAULT_USER_ID", "9")
    return records.add_token("1")


def send(path: str, body: Any, token: str | None = None, **more: Any) -> tuple[int, Any, dict[str, str]]:
    route = (
        {"route": "/personal/{user_id}/webhook", "path_parameters": {"user_id": path.split("/")[2]}}
        if "personal" in path
        else {}
    )
    headers = {**({"X-Webhook-Token": token} if token else {}), **more.pop("headers", {})}
    query = {"wait": "0", **more.pop("query", {})}
    return call(receive_signals.app, "POST", path, body, headers=headers, query=query, **route, **more)


def events(type_: str) -> list[dict[str, Any]]:
    return [item["payload"] for item in pump.items("outbox") if item["type"] == type_]


def signals() -> list[dict[str, Any]]:
    return pump.items("signals")


class TestKeys:
    """The sender's own keys."""

    def past(self, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
        """Moves everything sent so far into the past."""
        for item in pump.items("idempotency"):
            at = datetime.fromisoformat(item["received_at"]) if "received_at" in item else None
            if at:
                aws.write(
                    aws.put_write(
                        "idempotency", item | {"received_at": (at - timedelta(seconds=seconds)).isoformat()}
                    )
                )

    def test_two_charts_may_use_the_same_key(self, trader: str) -> None:
        """Keys are of one symbol, as two charts close their bars in the same second."""
        for symbol in ("BTCUSDT", "ETHUSDT"):
            assert send("/api/webhook", PAPER | {"symbol": symbol, "alert_id": "L-7"}, trader)[0] == 202
        assert len(signals()) == 2

    def test_two_strategies_webhooks_and_credentials_may_use_the_same_key(self, trader: str) -> None:
        """A key used here is free elsewhere."""
        key = {"alert_id": "L-7"}
        assert send("/api/webhook", GROUP | key, trader)[0] == 202
        assert send("/api/webhook", GROUP | {"group_name": "other"} | key, trader)[0] == 202
        assert send("/personal/1/webhook", PERSONAL | key, trader)[0] == 202
        assert send("/personal/1/webhook", PERSONAL | key, records.add_token("1"))[0] == 202
        assert len(signals()) == 4
        assert not any(
            "Idempotent-Replayed" in send("/personal/1/webhook", PERSONAL | {"alert_id": each}, trader)[2]
            for each in "ab"
        )

    def test_a_stranger_uses_up_no_key(self, trader: str) -> None:
        """A tokenless signal and one with a token may use one key, whichever comes first."""
        token = records.add_token("9")
        for first in (None, token):
            body = PERSONAL | {"alert_id": "k-1" if first else "k-2"}
            other = token if first is None else None
            assert send("/webhook", body, first)[0] == 202
            status, _, headers = send("/webhook", body | {"price": 50001}, other)
            assert (status, "Idempotent-Replayed" in headers) == (202, False)
        assert len(signals()) == 4

    def test_the_same_bytes_of_another_credential_are_another_signal(self, trader: str) -> None:
        """Without a key, too: a stranger's copy does not block the owner's signal."""
        send("/webhook", PERSONAL)
        assert "Idempotent-Replayed" not in send("/webhook", PERSONAL, records.add_token("9"))[2]

    @pytest.mark.parametrize(
        "closing",
        [{"side": "close"}, {"side": "stop"}, {"side": "exit"}, {"side": "sell", "market_position": "flat"}],
    )
    def test_an_exit_is_never_held_back_by_an_old_key(
        self, trader: str, closing: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Within the window it is its own re-send; after it, it is carried out."""
        body = PERSONAL | closing | {"alert_id": "Close"}
        assert send("/personal/1/webhook", body, trader)[0] == 202
        assert send("/personal/1/webhook", body, trader)[2]["Idempotent-Replayed"] == "true"
        self.past(monkeypatch, 40)
        assert "Idempotent-Replayed" not in send("/personal/1/webhook", body, trader)[2]
        assert len(signals()) == 2
        assert events("signal.repeated") == []

    def test_an_exit_with_another_body_is_carried_out(self, trader: str) -> None:
        """The key of an entry does not make its exit a 409."""
        assert send("/personal/1/webhook", PERSONAL | {"alert_id": "7"}, trader)[0] == 202
        status, _, headers = send(
            "/personal/1/webhook", PERSONAL | {"alert_id": "7", "side": "close"}, trader
        )
        assert (status, "Idempotent-Replayed" in headers) == (202, False)
        assert len(signals()) == 2

    def test_an_entry_held_back_late_is_told_to_its_owner(
        self, trader: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A re-send within the window is nothing to tell; after it the key is probably not unique."""
        body = PERSONAL | {"alert_id": "Long"}
        first = send("/personal/1/webhook", body, trader)
        send("/personal/1/webhook", body, trader)
        assert events("signal.repeated") == []
        self.past(monkeypatch, 40)
        again = send("/personal/1/webhook", body, trader)
        assert (again[1], again[2]["Idempotent-Replayed"]) == (first[1], "true")
        [told] = events("signal.repeated")
        assert (told["signal_id"], told["webhook"]) == (first[1]["signal_id"], "/personal/{user_id}/webhook")
        assert (len(signals()), len(pump.items("webhook_logs"))) == (1, 3)

    def test_an_entry_with_another_body_is_refused_and_told(self, trader: str) -> None:
        """409, and the message names the usual mistake."""
        send("/personal/1/webhook", PERSONAL | {"alert_id": "7"}, trader)
        status, answer, _ = send("/personal/1/webhook", PERSONAL | {"alert_id": "7", "price": 50001}, trader)
        assert (status, answer["code"]) == (409, "idempotency_key_reused")
        assert "order id" in answer["error"]
        assert [told["code"] for told in events("signal.refused")] == ["idempotency_key_reused"]

    def test_a_key_of_any_length_and_letters(self, trader: str) -> None:
        """The store's own limits are no limits of a key."""
        key = {"Idempotency-Key": "k#" * 2000}
        assert send("/personal/1/webhook", PERSONAL, trader, headers=key)[0] == 202
        assert send("/personal/1/webhook", PERSONAL, trader, headers=key)[2]["Idempotent-Replayed"] == "true"


CARRIERS = {
    "header": lambda token: {"headers": {"X-Webhook-Token": token}},
    "bearer": lambda token: {"headers": {"Authorization": f"Bearer {token}"}},
    **{
        f"?{name}=": lambda token, name=name: {"query": {name: token}}
        for name in ("token", "Token", "secret", "KEY", "api_key", "apiKey", "passphrase")
    },
    **{
        f"body {name}": lambda token, name=name: {"more": {name: token}}
        for name in ("token", "secret", "key", "Api-Key", "apikey", "passphrase", "Pass_Phrase")
    },
}


@pytest.mark.parametrize("carrier", CARRIERS)
class TestCarriers:
    """Wherever a credential stands and whatever it is called."""

    def send(self, carrier: str, token: str, path: str = "/api/webhook") -> tuple[int, Any]:
        given = CARRIERS[carrier](token)
        return send(path, PAPER | given.pop("more", {}), **given)[:2]

    def test_a_right_one_names_its_user_and_is_stored_nowhere(self, carrier: str, trader: str) -> None:
        """The token's user trades, never the default user; no table holds the token."""
        assert self.send(carrier, trader)[0] == 202
        assert [item["user_id"] for item in signals()] == ["1"]
        assert trader not in json.dumps(
            [pump.items(each) for each in ("signals", "webhook_logs", "outbox", "idempotency")], default=str
        )

    def test_a_wrong_one_is_refused_where_none_is_required(self, carrier: str, trader: str) -> None:
        """401 and no trade, for any form of token. The owner is unknown, so no user is notified."""
        for wrong in (WRONG, "not-a-token-of-ours"):
            status, answer = self.send(carrier, wrong)
            assert (status, answer["code"]) == (401, "token_wrong")
        assert (signals(), events("signal.refused")) == ([], [])
        assert {entry["owner"] for entry in pump.items("webhook_logs")} == {"unknown"}
        assert "not-a-token-of-ours" not in json.dumps(pump.items("webhook_logs"), default=str)

    def test_an_api_token_posts_no_signal(self, carrier: str, trader: str) -> None:
        """Nor does it count as no token."""
        assert self.send(carrier, records.add_token("1", Kind.API))[0] == 401
        assert signals() == []


@pytest.mark.parametrize("name", ["token", "secret", "key", "passphrase", "api_key", "note"])
def test_another_products_secret_beside_a_token_in_the_url(trader: str, name: str) -> None:
    """It is masked and means nothing here."""
    body = PAPER | {name: trader[-20:] if name == "note" else "pk-of-another-product"}
    assert send("/api/webhook", body, query={"token": trader})[0] == 202
    kept = json.dumps([pump.items("signals"), pump.items("webhook_logs")], default=str)
    assert "pk-of-another-product" not in kept


def test_two_tokens_of_ours(trader: str) -> None:
    """Two valid tokens conflict; a wrong one next to a valid one is wrong."""
    other = records.add_token("1")
    for given in ({"query": {"token": other}}, {"headers": {"Authorization": f"Bearer {other}"}}):
        assert send("/api/webhook", PAPER, trader, **given)[1]["code"] == "conflicting_tokens"
    assert send("/api/webhook", PAPER | {"token": other}, trader)[1]["code"] == "conflicting_tokens"
    assert send("/api/webhook", PAPER | {"token": WRONG}, trader)[:2][0] == 401
    assert send("/api/webhook", PAPER | {"token": trader}, trader)[0] == 202


def test_a_token_anywhere_in_a_body_is_masked(trader: str) -> None:
    """In a text, as a key, nested, chosen by hand: in no table, answer or event."""
    chosen = "correct-horse-battery-staple"
    item = {
        "token_hash": credentials.digest(chosen),
        "kind": "whk",
        "user_id": "1",
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    aws.write(aws.put_write("credentials", item))
    for token in (trader, chosen):
        url = f"https://h/webhook?token={token}"
        more = {
            "comment": url,
            token: "1",
            "nested": [{token: token}],
            "strategy_id": token,
            "alert_id": token,
        }
        assert send("/api/webhook", PAPER | more, query={"token": token})[0] == 202
        status, answer, _ = send(
            "/api/webhook", PAPER | {"symbol": token, "account": token}, query={"token": token}
        )
        assert 400 <= status < 500
        refused = send("/personal/1/webhook", PERSONAL | {"side": token}, query={"token": token})[1]
        unread = send("/api/webhook", f'{{"comment": "{url}", ', query={"token": token})[1]
        kept = json.dumps(
            [pump.items(each) for each in ("signals", "webhook_logs", "outbox", "idempotency")], default=str
        )
        for shown in (kept, *(json.dumps(each) for each in (answer, refused, unread))):
            assert token.upper() not in shown.upper()


class TestTime:
    """How old a signal may be."""

    def at(self, seconds: float) -> str:
        return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()

    @pytest.mark.parametrize("ahead", [61.5, 3 * 3600, 365 * 86_400])
    def test_a_timestamp_of_the_future(self, trader: str, ahead: float) -> None:
        """Refused where it may open; what closes goes through."""
        body = PERSONAL | {"timestamp": self.at(ahead)}
        status, answer, _ = send("/personal/1/webhook", body, trader)
        assert (status, answer["code"]) == (400, "invalid_time")
        assert send("/personal/1/webhook", body | {"side": "close"}, trader)[0] == 202
        assert send("/personal/1/webhook", PERSONAL | {"timestamp": self.at(50)}, trader)[0] == 202

    def test_a_future_timestamp_keeps_no_signal_young(self, trader: str) -> None:
        """Age counts from receipt then, also when the message comes late."""
        assert send("/personal/1/webhook", PERSONAL | {"timestamp": self.at(20)}, trader)[0] == 202
        [item] = signals()
        [instruction] = store.instructions_of(item)
        late = instruction.model_copy(update={"received_at": datetime.now(UTC) - timedelta(seconds=90)})
        from chalicelib.execution import execute_signal
        from chalicelib.orders import store as order_store

        execute_signal.execute_signal(late)
        assert [leg.code for leg in order_store.results_of(item["signal_id"])[0][0].refused] == ["stale"]

    @pytest.mark.parametrize("name", ["max_lag", "maxLag", "max_age", "MAX-AGE"])
    def test_the_senders_own_limit(self, name: str, trader: str) -> None:
        """It makes the limit shorter, never longer: at acceptance on spot, at execution on futures."""
        body = PAPER | {"timestamp": self.at(-20)}
        assert send("/api/webhook", body | {name: 5}, trader)[1]["code"] == "stale"
        assert send("/api/webhook", body | {name: 25}, trader)[0] == 202
        assert (
            send("/api/webhook", body | {"timestamp": self.at(-90), name: 600}, trader)[1]["code"] == "stale"
        )
        assert (
            send("/personal/1/webhook", PERSONAL | {"timestamp": self.at(-20), name: "5"}, trader)[0] == 202
        )
        pump.execute()
        assert [told["code"] for told in events("signal.refused") if told["account_id"]] == ["stale"]

    def test_closing_never_goes_stale(self, trader: str) -> None:
        """However old it is, and whatever limit it carries."""
        body = PERSONAL | {"side": "close", "timestamp": self.at(-9000), "max_lag": 1}
        assert send("/personal/1/webhook", body, trader)[0] == 202
        pump.execute()
        assert [told["code"] for told in events("signal.refused")] == ["no_position"]


@pytest.mark.parametrize("symbol", ["AAPL", "SOL", "NASDAQ:AAPL", "EURCHF"])
@pytest.mark.parametrize("market_type", ["spot", "futures"])
def test_no_share_or_bare_coin_on_an_exchange(trader: str, symbol: str, market_type: str) -> None:
    """Whatever the webhook, and for an order by hand; on paper it trades."""
    records.add_user("1", market_type=market_type, role="admin")
    records.add_account("1")
    records.add_account("1", "demo", kind="demo", exchange="binance", currency="USDT")
    body = {"symbol": symbol, "side": "buy", "price": 100}
    assert send("/personal/1/webhook", body, trader)[1]["code"] == "share_on_exchange"
    assert send("/xc", body | {"exchange": "binance", "amount": 1}, trader)[1]["code"] == "share_on_exchange"
    api = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    by_hand = {"symbol": symbol, "side": "buy", "account": "demo", "quantity": 1}
    assert (
        call(receive_signals.app, "POST", "/orders", by_hand, headers=api)[1]["code"] == "share_on_exchange"
    )
    assert (
        call(serve_api.app, "POST", "/signals/explain", body, headers=api, query={"variant": "personal"})[1][
            "code"
        ]
        == "share_on_exchange"
    )
    assert send("/api/webhook", body, trader)[0] == 202
    assert len(signals()) == 1


@pytest.mark.parametrize("header", ["X-Webhook-Event", "X-Webhook-Id", "X-Webhook-Signature"])
def test_our_own_webhook_is_no_signal(trader: str, header: str) -> None:
    """A delivery of ours that comes back is refused and logged.

    An event about it would go the same way again.
    """
    status, answer, _ = send("/personal/1/webhook", PERSONAL, trader, headers={header: "order.filled"})
    assert (status, answer["code"]) == (400, "loop_detected")
    assert (signals(), pump.items("outbox")) == ([], [])
    assert [entry["owner"] for entry in pump.items("webhook_logs")] == ["1"]


@pytest.mark.parametrize("name", ["token", "secret", "key", "api_key", "passphrase"])
def test_a_cancel_takes_a_credential_under_every_name(trader: str, name: str) -> None:
    """It is no filter, and none is missing."""
    body = {"group_name": "grp", "order_type": "CANCEL_ALL_ORDER", name: trader}
    assert send("/api/webhook", body)[0] == 202
    assert [item["signal"]["action"] for item in signals()] == ["cancel_all_order"]


def test_a_token_given_twice_in_the_url(trader: str) -> None:
    """Both are presented, so both must be right."""
    for values, status in (([WRONG, trader], 401), ([trader, WRONG], 401), ([trader, trader], 202)):
        event = request("POST", "/api/webhook", json.dumps(PAPER), query={"token": values[-1], "wait": "0"})
        event["multiValueQueryStringParameters"]["token"] = values
        assert receive_signals.app(event, CONTEXT)["statusCode"] == status
