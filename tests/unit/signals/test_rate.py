"""The limit of signals a minute per token: more are answered 429, logged, and not traded."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.orders.models import Instruction
from chalicelib.signals import accept, store
from chalicelib.signals.models import Signal
from chalicelib.trading import Action, Symbol, Variant
from chalicelib.users.credentials import Kind
from chalicelib.users.models import Settings
from chalicelib.users.signal_quota import PARTS, Usage
from functions import receive_signals, serve_api
from testkit import pump, records
from testkit.crash import killed_after
from testkit.gateway import call

ALERT = {"symbol": "AAPL", "side": "buy", "qty": 1}


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """Two users who trade on paper, three signals a minute each."""
    for user_id in ("1", "2"):
        records.add_user(user_id, signals_per_minute=3, require_token=user_id == "2")
        records.add_account(user_id)


def send(price: int, token: str | None = None, **more: Any) -> tuple[int, Any, dict[str, str]]:
    """A signal that waits for nothing; each price is another one."""
    headers = {"X-Webhook-Token": token} if token else {}
    return call(
        receive_signals.app,
        "POST",
        "/api/webhook",
        {**ALERT, **more, "price": price},
        query={"wait": "0"},
        headers=headers,
    )


@pytest.fixture
def token() -> str:
    """A token of user 1."""
    return records.add_token("1")


def test_over_the_limit(token: str) -> None:
    """The fourth is answered 429 with when to come back, is in the log, and is not traded.

    The first three are.
    """
    answers = [send(price, token) for price in range(1, 5)]
    assert [status for status, _, _ in answers] == [202, 202, 202, 429]
    _, body, headers = answers[-1]
    assert body["code"] == "too_many_requests"
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert len(pump.items("signals")) == 3
    [refused] = [entry for entry in pump.items("webhook_logs") if entry["outcome"] == "refused"]
    assert (refused["owner"], refused["code"], refused["status"]) == ("1", "too_many_requests", 429)
    pump.execute()
    assert len([item for item in pump.items("orders") if "#" in item["leg"]]) == 3


def test_each_token_has_its_own(token: str) -> None:
    """One token at its limit holds up neither the user's other one, nor their tokenless signals, nor another
    user.
    """
    for price in range(1, 5):
        send(price, token)
    assert send(5, token)[0] == 429
    assert send(6, records.add_token("1"))[0] == 202
    assert send(7)[0] == 202
    assert send(8, records.add_token("2"))[0] == 202


def test_tokenless_signals_count_together() -> None:
    """Without tokens a user's signals have one limit."""
    assert [send(price)[0] for price in range(1, 5)] == [202, 202, 202, 429]


def test_a_repeat_is_answered_at_the_limit_too(token: str) -> None:
    """A re-sent signal gets its first answer, however full the minute is, and counts for nothing."""
    first = send(1, token)
    send(2, token, symbol="MSFT")
    assert send(1, token)[2]["Idempotent-Replayed"] == "true"
    send(3, token, symbol="MSFT")
    assert send(4, token)[0] == 429
    again = send(1, token)
    assert (again[0], again[1]["signal_id"], again[2]["Idempotent-Replayed"]) == (
        202,
        first[1]["signal_id"],
        "true",
    )


def test_closing_goes_on(token: str) -> None:
    """At the limit what sells is still let through."""
    assert [send(price, token)[0] for price in range(1, 5)] == [202, 202, 202, 429]
    assert send(5, token, side="sell")[0] == 202


def test_a_refused_signal_counts_for_nothing(token: str) -> None:
    """A refused signal does not count towards the minute."""
    for price in range(1, 6):
        assert send(price, token, side="hold")[0] == 400
    assert send(7, token)[0] == 202


def test_a_group_is_told_as_a_group(token: str) -> None:
    """A group signal's 429 has the group's body."""
    records.add_account("1", "one", kind="demo", exchange="binance")
    records.add_strategy(accounts={"1-one": {}})
    group = {
        "group_name": "my_strategy",
        "exchange": "BINANCE",
        "market_type": "FUTURES",
        "currency": "USDT",
        "order_type": "MARKET",
        "qty_per": 1,
    }
    answers = [send(price, token, **group, symbol="BTCUSDT") for price in range(1, 5)]
    status, body, headers = answers[-1]
    assert (status, body["success"], body["code"]) == (429, False, "too_many_requests")
    assert "Retry-After" in headers


def test_a_limit_of_its_own() -> None:
    """A token may have another limit than its owner's settings say; its successor keeps it."""
    tokens = {"route": "/users/{user_id}/tokens", "path_parameters": {"user_id": "1"}}
    bearer = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    asked = {"kind": "webhook", "signals_per_minute": 1}
    made = call(serve_api.app, "POST", "/users/1/tokens", asked, headers=bearer, **tokens)[1]
    assert [send(price, made["token"])[0] for price in (1, 2)] == [202, 429]
    where = {
        "route": "/users/{user_id}/tokens/{token_id}/rotate",
        "path_parameters": {"user_id": "1", "token_id": made["token_id"]},
    }
    successor = call(
        serve_api.app, "POST", f"/users/1/tokens/{made['token_id']}/rotate", headers=bearer, **where
    )[1]
    assert [send(price, successor["token"])[0] for price in (3, 4)] == [202, 429]
    listed = call(
        serve_api.app, "GET", "/users/1/tokens", headers=bearer, query={"kind": "webhook"}, **tokens
    )[1]["items"]
    assert [item["signals_per_minute"] for item in listed] == [1, 1]
    assert all(item["last_used_at"] >= item["created_at"] for item in listed)


def test_counting_costs_no_call(token: str) -> None:
    """Acceptance makes its three calls, counting included."""
    with killed_after(99) as made:
        assert send(1, token)[0] == 202
    assert made == ["BatchGetItem", "TransactWriteItems", "SendMessageBatch"]


class Meeting:
    """DynamoDB's way with transactions that meet.

    One that touches an item of another in flight is cancelled, which moto never does.
    """

    def __init__(self, in_flight_s: float) -> None:
        self.in_flight_s, self.lock, self.busy, self.cancelled = in_flight_s, threading.Lock(), set[str](), 0

    def transact(self, writes: list[aws.Write]) -> None:
        """Takes its time, or is cancelled."""
        touched = {key for write in writes if (key := _shared(write))}
        with self.lock:
            if self.busy & touched:
                self.cancelled += 1
                raise Retryable("transaction not written: TransactionConflict")
            self.busy |= touched
        time.sleep(self.in_flight_s)
        with self.lock:
            self.busy -= touched


def _shared(write: aws.Write) -> str | None:
    """The item a write shares with other signals' writes, if any.

    The token's part, the symbol's last signal.
    """
    [arguments] = write.values()
    key = arguments.get("Key") or arguments["Item"]
    return next((str(key[name]) for name in ("part", "key") if name in key), None)


@pytest.mark.parametrize(("alerts", "symbols"), [(100, 100), (40, 1)])
def test_a_burst_meets_at_one_token(alerts: int, symbols: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred alerts with one token in one instant, or forty of them for one symbol, are all stored within
    two seconds.
    """
    cloud, now = Meeting(in_flight_s=0.012), datetime.now(UTC)
    monkeypatch.setattr(aws, "transact", cloud.transact)

    def save(number: int) -> store.Earlier | None:
        symbol = f"S{number % symbols}"
        signal = Signal(variant=Variant.PAPER, action=Action.BUY, symbol=Symbol(raw=symbol, base=symbol))
        shared = {
            "user_id": "1",
            "account_id": "1",
            "exchange": "paper",
            "variant": "paper",
            "action": Action.BUY,
            "max_age_s": 60,
        }
        instruction = Instruction(signal_id=str(number), received_at=now, single_account=True, **shared)
        accepted = store.Accepted(str(number), "1", signal, Settings(), (instruction,), 1, now, {})
        guard = store.IdempotencyKeys(None, f"1#paper#1#{symbol}", str(number), timedelta(seconds=30))
        return accept._save(accepted, guard, Usage("1", "hash", [None] * PARTS, 1000))[0]

    started = time.monotonic()
    with ThreadPoolExecutor(alerts) as pool:
        assert list(pool.map(save, range(alerts))) == [None] * alerts
    assert time.monotonic() - started < 2
    assert cloud.cancelled > 0
