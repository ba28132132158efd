"""Who may connect, with what, and the first message."""

import json
import random
import time
from collections import defaultdict, deque
from decimal import Decimal

import pytest

from chalicelib import aws
from chalicelib.realtime import queue
from chalicelib.users.credentials import Kind
from functions import handle_realtime
from functions.serve_api import app
from testkit import records
from testkit.gateway import call

WELCOME = {"type": "connection", "status": "connected", "message": "WebSocket connection established"}


@pytest.mark.parametrize("parameter", ["token", "api_key"])
def test_welcome(realtime, tokens, sockets, parameter):
    """An API token opens a connection under both of the seed's names. The seed's first message follows."""
    assert realtime.connect("c", {parameter: tokens["1"]}) == 200
    assert sockets.sent["c"] == []
    realtime.deliver()
    assert sockets.sent["c"] == [WELCOME]


@pytest.mark.parametrize(
    "query",
    [None, {}, {"token": ""}, {"token": "api_1_" + "x" * 43}, {"token": "nonsense"}, {"ticket": "wst_no"}],
)
def test_refused(realtime, query):
    """Without a valid token no connection opens, and nothing is recorded."""
    assert realtime.connect("c", query) == 401
    assert aws.get("connections", {"connection_id": "c"}) is None


def test_webhook_token_refused(realtime):
    """A webhook token opens no connection."""
    assert realtime.connect("c", {"token": records.add_token("1", Kind.WEBHOOK)}) == 401


def test_inactive_refused(realtime, tokens):
    """An inactive user is not admitted, neither by token nor by an earlier ticket."""
    ticket = _ticket(tokens["1"])
    records.add_user("1", is_active=False)
    assert realtime.connect("c", {"token": tokens["1"]}) == 403
    assert realtime.connect("c", {"ticket": ticket}) == 403


def test_ticket_once(realtime, tokens):
    """A ticket lets its user in once."""
    ticket = _ticket(tokens["2"])
    assert realtime.connect("c", {"ticket": ticket}) == 200
    assert aws.get("connections", {"connection_id": "c"})["user_id"] == "2"
    assert realtime.connect("d", {"ticket": ticket}) == 401


def test_ticket_expires(realtime, tokens, monkeypatch):
    """A ticket is good for a minute, whenever DynamoDB gets round to forgetting it."""
    status, body, _ = call(
        app, "POST", "/realtime/tickets", headers={"Authorization": f"Bearer {tokens['1']}"}
    )
    assert (status, body["expires_in"]) == (201, 60)
    [item] = aws.client("dynamodb").scan(TableName="test-connect_tickets")["Items"]
    assert body["ticket"] not in str(item)
    aws.write(
        aws.update_write(
            "connect_tickets",
            {"ticket_hash": item["ticket_hash"]["S"]},
            "SET forget_at = :then",
            then=int(time.time()) - 1,
        )
    )
    assert realtime.connect("c", {"ticket": body["ticket"]}) == 401


def test_ticket_url(realtime, tokens):
    """A ticket comes with the address to use it at, and is not to be kept by anything between."""
    _, body, headers = call(
        app, "POST", "/realtime/tickets", headers={"Authorization": f"Bearer {tokens['1']}"}
    )
    assert body["url"] == f"ws://localhost:8080/ws?ticket={body['ticket']}"
    assert headers["Cache-Control"] == "no-store"


def test_tickets_want_a_token(realtime):
    """A ticket needs an API token."""
    assert call(app, "POST", "/realtime/tickets")[0] == 401


def test_welcome_waits(realtime, tokens, sockets, monkeypatch):
    """While the connection is still being opened it counts as gone.

    The welcome is tried again within the same delivery.
    """
    monkeypatch.setattr("chalicelib.realtime.push.time.sleep", lambda _: sockets.gone.clear())
    sockets.gone.add("c")
    realtime.connect("c", {"token": tokens["1"]})
    assert realtime.deliver() == {"batchItemFailures": []}
    assert sockets.sent["c"] == [WELCOME]


def test_welcome_comes_again(realtime, tokens, sockets, monkeypatch):
    """A connection that opens slowly is welcomed by a later message, and delays no other."""
    paused = []

    def pause(seconds):
        paused.append(seconds)
        if len(paused) == 5:
            sockets.gone.clear()

    monkeypatch.setattr("chalicelib.realtime.push.time.sleep", pause)
    sockets.gone.add("c")
    realtime.connect("c", {"token": tokens["1"]})
    assert realtime.deliver() == {"batchItemFailures": []}
    assert sockets.sent["c"] == [WELCOME]
    assert sum(paused[:3]) < 0.2


def test_welcome_given_up(realtime, tokens, sockets, monkeypatch):
    """A connection that closed is not welcomed.

    One that has not opened when API Gateway gave up is forgotten.
    """
    monkeypatch.setattr("chalicelib.realtime.push.time.sleep", lambda _: None)
    sockets.gone |= {"c", "d"}
    realtime.connect("c", {"token": tokens["1"]})
    realtime.disconnect("c")
    realtime.connect("d", {"token": tokens["1"]})
    aws.write(
        aws.update_write(
            "connections",
            {"connection_id": "d"},
            "SET connected_at = :then",
            then="2026-01-01T00:00:00+00:00",
        )
    )
    assert realtime.deliver() == {"batchItemFailures": []}
    assert aws.get("connections", {"connection_id": "d"}) is None


@pytest.mark.parametrize("seed", range(12))
def test_welcome_first(realtime, tokens, sockets, seed):
    """In any order of the message groups, a connection is welcomed first.

    It then gets each event since, once and in order.
    """
    chance = random.Random(seed)
    realtime.happen("order.placed")
    realtime.connect("c", {"token": tokens["1"]})
    waiting = defaultdict(deque)
    for left in range(6, -1, -1):
        if left:
            realtime.happen("order.filled")
        realtime.collect(waiting)
        for _ in range(chance.randrange(4) if left else 1000):
            groups = [group for group in waiting if waiting[group]]
            if not groups:
                break
            group = chance.choice(groups)
            realtime.push([waiting[group].popleft() for _ in range(chance.randint(1, len(waiting[group])))])
            realtime.collect(waiting)
    welcome, *events = sockets.sent["c"]
    assert welcome == WELCOME
    assert [event["sequence"] for event in events] == [2, 3, 4, 5, 6, 7]


def test_goes_on(realtime, tokens, sockets):
    """A client with a sequence gets the missed events after the welcome, then the end of the replay.

    The events come in the requested batches.
    """
    for _ in range(3):
        realtime.happen("order.filled")
    realtime.happen("signal.settled")
    realtime.connect(
        "c", {"token": tokens["1"], "after": "1", "batch": "true", "types": "order.*,market.price"}
    )
    realtime.deliver()
    welcome, missed, resumed = sockets.sent["c"]
    assert welcome == WELCOME
    assert [event["sequence"] for event in missed["events"]] == [2, 3]
    assert resumed == {"type": "resumed", "recovered": True, "last": 4}
    queue.push_price("BTC/USDT", Decimal(1), None)
    realtime.deliver()
    assert sockets.last("c")["type"] == "market.price"


def test_begins_now(realtime, tokens, sockets):
    """A new client asks to begin at the stream's position, and gets it.

    A client with an impossible sequence gets it, too.
    """
    realtime.happen("order.filled")
    for connection_id, after in (("new", "last"), ("lost", "7")):
        realtime.connect(connection_id, {"token": tokens["1"], "after": after})
    realtime.deliver()
    assert sockets.sent["new"] == [WELCOME, {"type": "resumed", "recovered": True, "last": 1}]
    assert sockets.sent["lost"] == [WELCOME, {"type": "resumed", "recovered": False, "last": 1}]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        *(({"after": after}, "invalid_sequence") for after in ("-1", "x", "²", "9" * 30)),
        ({"batch": "yes"}, "invalid_choice"),
        ({"batch": "1"}, "invalid_choice"),
        ({"types": ""}, "invalid_choice"),
        ({"types": "Order.*"}, "invalid_choice"),
        ({"types": "oder.filled"}, "unknown_event_type"),
        ({"types": "order.*,user.craeted"}, "unknown_event_type"),
        ({"type": "order.*"}, "unknown_field"),
    ],
)
def test_nonsense_is_named(realtime, tokens, sockets, wrong, code):
    """A good token opens the connection.

    What makes no sense in the address is named by the first message, and the connection closed.
    """
    assert realtime.connect("c", {"token": tokens["1"], **wrong}) == 200
    realtime.deliver()
    [error] = sockets.sent["c"]
    assert (error["type"], error["code"]) == ("error", code)
    assert next(iter(wrong)) in error["error"] or code == "unknown_event_type"
    assert "c" in sockets.closed
    assert aws.get("connections", {"connection_id": "c"}) is None


def test_a_refusal_says_why(realtime):
    """Before the upgrade there is the status, and a body for clients that can read it."""
    answer = handle_realtime.handler(
        {
            "requestContext": {"connectionId": "c", "eventType": "CONNECT"},
            "queryStringParameters": {"token": "x"},
        },
        None,
    )
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (401, "token_wrong")


def test_joins_in_turn(realtime, tokens):
    """Missed events are sent in turn with the stream's events.

    They share the message group, so that neither overtakes the other.
    """
    realtime.connect("c", {"token": tokens["1"]})
    realtime.push(realtime.take())
    [join] = realtime.take()
    assert join["Attributes"]["MessageGroupId"] == "user#1"


def test_joining_seen_at_once(realtime, tokens, sockets, monkeypatch):
    """An index that still shows a connection as not joined does not cost it an event."""
    realtime.connect("c", {"token": tokens["1"]})
    realtime.deliver()
    original = aws.query_all
    monkeypatch.setattr(
        aws, "query_all", lambda *args, **more: [{**item, "joined": None} for item in original(*args, **more)]
    )
    realtime.happen("order.filled")
    realtime.deliver()
    assert sockets.types("c") == ["connection", "order.filled"]


def test_connections_listed(connected, tokens):
    """Admins see all connections, or one user's.

    Users see their own, and a request for another user is refused.
    """
    everybody = _listed(tokens["9"])
    assert [item["connection_id"] for item in everybody["items"]] == ["c9", "c2", "c1"]
    assert everybody["total"] == 3
    assert {"device": "Firefox", "source_ip": "192.0.2.1", "user_uuid": "uuid-1"}.items() <= everybody[
        "items"
    ][2].items()
    assert [item["connection_id"] for item in _listed(tokens["9"], user_id="2")["items"]] == ["c2"]
    assert [item["connection_id"] for item in _listed(tokens["1"])["items"]] == ["c1"]
    assert [item["connection_id"] for item in _listed(tokens["1"], user_id="me")["items"]] == ["c1"]
    headers = {"Authorization": f"Bearer {tokens['1']}"}
    assert call(app, "GET", "/realtime/connections", headers=headers, query={"user_id": "2"})[0] == 403


def test_disconnect(connected, tokens):
    """A closed connection is no longer listed."""
    connected.disconnect("c1")
    assert _listed(tokens["1"])["items"] == []


def test_expired_not_listed(connected, tokens, sockets):
    """A connection past API Gateway's limit is neither listed nor posted to.

    It is closed if it still speaks.
    """
    aws.write(
        aws.update_write(
            "connections",
            {"connection_id": "c1"},
            "SET connected_at = :then",
            then="2026-01-01T00:00:00+00:00",
        )
    )
    assert _listed(tokens["1"])["items"] == []
    connected.happen("order.filled")
    connected.deliver()
    assert sockets.sent["c1"] == []
    connected.say("c1", {"type": "ping"})
    assert sockets.closed == ["c1"]


def _ticket(token):
    return call(app, "POST", "/realtime/tickets", headers={"Authorization": f"Bearer {token}"})[1]["ticket"]


def _listed(token, **query):
    status, body, _ = call(
        app, "GET", "/realtime/connections", headers={"Authorization": f"Bearer {token}"}, query=query or None
    )
    assert status == 200
    return body
