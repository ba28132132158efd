"""What the other tests leave out of the functions' grants.

Each of these needs one that would else be needed by no test.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.events import log, topic
from chalicelib.events.models import LoggedEvent
from chalicelib.exchanges import registry
from chalicelib.portfolio import snapshots
from chalicelib.realtime import post
from chalicelib.webhooks.delivery import fan_out, ssrf_guard
from functions import (
    handle_realtime,
    push_realtime,
    receive_signals,
    refresh_markets,
    serve_api,
    sweep,
    track_orders,
)
from testkit import pump, records
from testkit.gateway import CONTEXT, call
from tests.conftest import grants

ALERT = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 100}


@pytest.fixture
def trader(emulated: None) -> None:
    """A user who trades on paper without a token."""
    records.add_user("1", require_token=False)
    records.add_account("1")


def test_waiting_for_the_result_reads_the_ledger(trader: None) -> None:
    """`orders`, Query: a waiting sender gets the state of the signal."""
    assert call(receive_signals.app, "POST", "/api/webhook", ALERT, query={"wait": "1"})[0] == 202


def test_the_sweep_notes_a_signal_that_has_long_settled(
    trader: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`signals`, UpdateItem: its messages arrived, only the note of it was lost."""
    call(receive_signals.app, "POST", "/api/webhook", ALERT, query={"wait": "0"})
    pump.execute()
    [signal] = pump.items("signals")
    aws.write(
        aws.update_write(
            "signals",
            {"signal_id": signal["signal_id"]},
            "SET unqueued = :shard",
            shard=aws.index_shard(signal["signal_id"]),
        )
    )
    monkeypatch.setattr(sweep, "_SETTLED_BY_NOW", timedelta(seconds=-5))
    sweep.handler({}, CONTEXT)
    assert "unqueued" not in pump.items("signals")[0]


def test_what_is_due_is_queued(emulated: None) -> None:
    """`orders-{exchange}`, SendMessage: an account with due work gets a reconciliation."""
    due = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    aws.write(
        aws.put_write(
            "in_flight_orders",
            {"account_id": "1", "order_id": "#account", "shard": "0", "due_at": due, "exchange": "okx"},
        )
    )
    track_orders.handler({}, CONTEXT)
    assert [message["account_id"] for message in pump.bodies("orders-okx")] == ["1"]


def test_markets_are_stored(emulated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`markets`, GetItem and PutItem.

    What is missing is fetched and stored, what is fresh is not fetched again.
    """
    fetched: list[str] = []

    def fetch(exchange: str, *_market: Any, **_environment: Any) -> dict[str, Any]:
        fetched.append(exchange)
        return {}

    monkeypatch.setenv("TRADEHOOK_EXCHANGES", "okx")
    monkeypatch.setattr(registry, "fetch_markets", fetch)
    assert refresh_markets.handler({}, CONTEXT) == {"venues": len(fetched)}
    assert set(fetched) == {"okx"}
    assert refresh_markets.handler({}, CONTEXT) == {"venues": 0}


@pytest.fixture
def connected(trader: None) -> str:
    """A connection that API Gateway and the table know."""
    post.client.cache_clear()
    token = records.add_token("1", records.credentials.Kind.API)
    event = {
        "requestContext": {"eventType": "CONNECT", "connectionId": "c-1"},
        "queryStringParameters": {"token": token},
    }
    assert handle_realtime.handler(event, CONTEXT) == {"statusCode": 200}
    return "c-1"


def test_a_connection_is_answered(connected: str) -> None:
    """`realtime`, ManageConnections: a ping is answered by a post to its connection."""
    event = {
        "requestContext": {"eventType": "MESSAGE", "connectionId": connected},
        "body": json.dumps({"type": "ping"}),
    }
    assert handle_realtime.handler(event, CONTEXT) == {"statusCode": 200}


def test_a_connection_is_welcomed(connected: str) -> None:
    """`realtime`, ManageConnections, of the function that pushes."""
    records_ = [
        {"messageId": str(number), "body": json.dumps(body), "attributes": {"MessageGroupId": "welcome"}}
        for number, body in enumerate(pump.bodies("realtime"))
    ]
    assert records_
    assert push_realtime.handler({"Records": records_}, CONTEXT) == {"batchItemFailures": []}


def test_a_transaction_by_its_number(trader: None) -> None:
    """`transactions`, GetItem: one that is not there."""
    headers = {"Authorization": f"Bearer {records.add_token('1', records.credentials.Kind.API)}"}
    where: dict[str, Any] = {
        "route": "/transactions/{transaction_id}",
        "path_parameters": {"transaction_id": "7"},
    }
    assert call(serve_api.app, "GET", "/transactions/7", headers=headers, **where)[0] == 404


def test_what_an_account_at_an_exchange_holds(trader: None) -> None:
    """`snapshots`, GetItem: what its exchange said when it was last asked."""
    account_id = records.add_account("1", "real", exchange="okx", kind="live")
    position = {
        "symbol": "BTCUSDT",
        "market_type": "futures",
        "quantity": 2,
        "entry_price": 50000,
        "leverage": 1,
        "unrealized_profit": 7,
    }
    looked = {
        "account_id": account_id,
        "at": snapshots.LATEST,
        "taken_at": "2026-01-01T00:00:00+00:00",
        "balances": [],
    }
    aws.write(aws.put_write("snapshots", looked | {"positions": [position]}))
    headers = {"Authorization": f"Bearer {records.add_token('1', records.credentials.Kind.API)}"}
    status, shown, _ = call(serve_api.app, "GET", "/positions", headers=headers)
    assert (status, [each["unrealized_pnl"] for each in shown["items"]]) == (200, [7])


def test_a_signal_tells_of_its_deliveries(trader: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`deliveries`, BatchGetItem: what a subscription was sent of it."""
    monkeypatch.setattr(ssrf_guard, "resolve", lambda *_: [])
    headers = {"Authorization": f"Bearer {records.add_token('1', records.credentials.Kind.API)}"}
    hook = {"name": "all", "url": "https://example.com/", "event_type": "*"}
    assert call(serve_api.app, "POST", "/webhooks", hook, headers=headers)[0] == 201
    _, accepted, _ = call(receive_signals.app, "POST", "/api/webhook", ALERT, query={"wait": "0"})
    pump.execute()
    pump.publish()
    for event in log.after("user#1", 0, 100):
        fan_out.fan_out(LoggedEvent.model_validate_json(topic.message(event)), datetime.now(UTC))
    path = {"signal_id": accepted["signal_id"]}
    where: dict[str, Any] = {"route": "/signals/{signal_id}", "path_parameters": path}
    status, shown, _ = call(serve_api.app, "GET", f"/signals/{path['signal_id']}", headers=headers, **where)
    assert status == 200
    assert {"signal.accepted", "order.filled"} <= {delivery["event_type"] for delivery in shown["deliveries"]}


@pytest.mark.parametrize(
    ("resource", "action"),
    [
        ("table:signals", "PutItem"),
        ("table:idempotency", "PutItem"),
        ("table:users", "BatchGetItem"),
        ("queue:orders-{exchange}", "SendMessage"),
    ],
)
def test_without_its_grant_a_call_is_denied(
    trader: None, monkeypatch: pytest.MonkeyPatch, resource: str, action: str
) -> None:
    """What holds every other test to the grants: the call fails, and is noted by name."""
    monkeypatch.setattr(grants, "granted", grants.granted - {("receive_signals", resource, action)})
    assert call(receive_signals.app, "POST", "/api/webhook", ALERT, query={"wait": "0"})[0] == 500
    assert set(grants.denied) == {f"receive_signals has no grant for {action} on {resource}"}
    grants.denied.clear()
