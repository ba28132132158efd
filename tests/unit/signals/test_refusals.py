"""Refusals at acceptance reach the owner.

An event in the transaction of the log entry, once a minute for each code and webhook.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib import aws, messages, request_limits
from chalicelib.errors import Retryable
from chalicelib.events.models import LoggedEvent
from chalicelib.signals import refusal_limit
from chalicelib.telegram.texts import catalogue
from chalicelib.telegram.wording import of_event
from testkit import pump, records
from testkit.crash import Killed, killed_after
from tests.unit.signals.test_keys_and_credentials import GROUP, PAPER, PERSONAL, WRONG, events, send, trader

__all__ = ["trader"]

WORD = {"symbol": "BTCUSDT", "action": "ENTER_LONG"}
REFUSED: dict[str, tuple[str, Any, str, str | None]] = {
    "choice": ("/personal/1/webhook", WORD, "invalid_choice", "action"),
    "missing": ("/personal/1/webhook", {"symbol": "BTCUSDT"}, "missing_field", "side"),
    "broken JSON": ("/personal/1/webhook", '{"symbol": "BTCUSDT", ', "broken_body", None),
    "empty": ("/personal/1/webhook", "", "no_data", None),
    "placeholder": (
        "/personal/1/webhook",
        {"symbol": "BTCUSDT", "side": "{{strategy.order.action}}"},
        "placeholder",
        "side",
    ),
    "strategy": ("/api/webhook", GROUP | {"group_name": "none"}, "strategy_not_found", None),
    "account": ("/api/webhook", PAPER | {"account": "none"}, "account_not_found", None),
    "stale": ("/api/webhook", PAPER | {"timestamp": "2026-01-01T00:00:00Z"}, "stale", None),
    "future": ("/api/webhook", PAPER | {"timestamp": "2099-01-01T00:00:00Z"}, "invalid_time", "timestamp"),
    "share": ("/personal/1/webhook", {"symbol": "AAPL", "side": "buy"}, "share_on_exchange", None),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_way_to_be_refused_is_told(trader: str, case: str) -> None:
    """Code, field, webhook; in the user's stream."""
    path, body, code, field = REFUSED[case]
    status, answer, _ = send(path, body, trader)
    assert answer["code"] == code
    [item] = pump.items("outbox")
    told = item["payload"]
    assert (item["type"], item["user_id"]) == ("signal.refused", "1")
    assert (told["code"], told["status"], told["field"], told["count"]) == (code, status, field, 1)
    assert told["webhook"] == ("/personal/{user_id}/webhook" if "personal" in path else path)
    [entry] = pump.items("webhook_logs")
    assert (entry["owner"], entry["code"]) == ("1", code)
    assert entry["at"].endswith(told["request_id"])


@pytest.mark.parametrize(
    "setting", [{"is_active": False}, {"allowed_addresses": ["10.0.0.1"]}], ids=["inactive", "address"]
)
def test_what_the_owner_may_not_send_is_told(trader: str, setting: dict[str, Any]) -> None:
    """The token was right, so the owner is known."""
    records.add_user("1", **setting)
    assert send("/personal/1/webhook", PERSONAL, trader)[0] == 403
    assert len(events("signal.refused")) == 1


def test_a_halt_and_a_rule_are_told(trader: str) -> None:
    """As every refusal."""
    records.halt("user#1")
    assert send("/api/webhook", PAPER, trader)[1]["code"] == "halted"
    assert [told["code"] for told in events("signal.refused")] == ["halted"]


def test_whose_it_is_must_be_proved(trader: str) -> None:
    """Without a valid token no user is notified, and the log has the owner as unknown."""
    for token in (None, WRONG):
        assert send("/personal/1/webhook", WORD, token)[0] == 401
    assert events("signal.refused") == []
    assert {entry["owner"] for entry in pump.items("webhook_logs")} == {"unknown"}


def test_the_same_is_told_once_a_minute_with_a_count(trader: str) -> None:
    """Twelve log entries and one event; the next minute's event counts those between.

    Another code is published at once.
    """
    for _ in range(12):
        send("/personal/1/webhook", WORD, trader)
    assert [told["count"] for told in events("signal.refused")] == [1]
    assert len(pump.items("webhook_logs")) == 12
    send("/personal/1/webhook", {"symbol": "BTCUSDT"}, trader)
    assert len(events("signal.refused")) == 2
    for item in pump.items("idempotency"):
        earlier = datetime.fromisoformat(item["reported_at"]) - timedelta(seconds=61)
        aws.write(aws.put_write("idempotency", item | {"reported_at": earlier.isoformat()}))
    send("/personal/1/webhook", WORD, trader)
    assert sorted(told["count"] for told in events("signal.refused")) == [1, 1, 12]
    assert len(pump.items("webhook_logs")) == 14


@pytest.mark.parametrize("conflicts", [2, 100])
def test_many_at_once(trader: str, conflicts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions that meet at the count are tried again.

    If that does not help, the log at least misses none.
    """
    left, transact = [conflicts], aws.transact

    def contended(writes: Any) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise Retryable("transaction conflict")
        transact(writes)

    monkeypatch.setattr(aws, "transact", contended)
    assert send("/personal/1/webhook", WORD, trader)[0] == 400
    assert len(pump.items("webhook_logs")) == 1
    assert len(events("signal.refused")) == (1 if conflicts == 2 else 0)


def test_log_and_event_are_one_transaction(trader: str) -> None:
    """A process that dies leaves both or none."""
    with killed_after(1), pytest.raises(Killed):
        send("/personal/1/webhook", WORD, trader)
    assert (pump.items("webhook_logs"), pump.items("outbox")) == ([], [])


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_telegram_says_it(trader: str, language: str) -> None:
    """In every language: which webhook, and why; of several, how many."""
    send("/personal/1/webhook", WORD, trader)
    [payload] = events("signal.refused")
    for count in (1, 12):
        event = LoggedEvent(
            stream="user#1",
            sequence=1,
            event_id="e",
            type="signal.refused",
            payload=payload | {"count": count},
            entity="signal#1",
            user_id="1",
            timestamp=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        )
        said = of_event(event, language)
        assert said
        assert "webhook" in said
        assert messages.render("invalid_choice", payload["refused"][0]["values"], language) in said
        assert ("12" in said) is (count == 12)
    assert "signal.repeated" in catalogue(language)


def test_a_flood_of_refusals_is_recorded_up_to_a_limit(trader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit 429 and no record, of this user only.

    Valid signals pass, and the next minute counts from zero.
    """
    monkeypatch.setattr(request_limits, "REFUSALS_PER_MINUTE", 3)
    monkeypatch.setattr(refusal_limit, "_minute", "")
    answers = [send("/personal/1/webhook", WORD, trader) for _ in range(5)]
    assert [status for status, _, _ in answers] == [400, 400, 400, 429, 429]
    assert 0 < int(answers[-1][2]["Retry-After"]) <= 60
    assert len(pump.items("webhook_logs")) == 3
    assert send("/personal/1/webhook", PERSONAL, trader)[0] == 202
    assert send("/webhook", WORD, WRONG)[0] == 401
    monkeypatch.setattr(refusal_limit, "_minute", "2000-01-01T00:00")
    assert send("/personal/1/webhook", WORD, trader)[0] == 400
