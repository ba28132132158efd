"""How events and prices reach connections.

To whom, in which order, how large, and past those that do not take them.
"""

import json
import re
import time
from decimal import Decimal

import pytest

from chalicelib import aws
from chalicelib.realtime import post, queue, store
from chalicelib.realtime.frames import LIMIT
from functions.serve_api import app
from testkit.gateway import call


def test_event(connected, sockets):
    """An event goes out in the contract's form, to its user and to the admins, each with their stream's
    sequence.
    """
    connected.happen("user.created", None, {"user_id": "2"})
    connected.happen("order.filled", "1", {"price": "185.59"})
    connected.deliver()
    [mine] = sockets.sent["c1"]
    assert set(mine) == {"type", "payload", "timestamp", "sequence", "event_id", "user_id"}
    assert (mine["type"], mine["payload"], mine["sequence"]) == ("order.filled", {"price": "185.59"}, 1)
    assert [(message["type"], message["sequence"]) for message in sockets.sent["c9"]] == [
        ("user.created", 1),
        ("order.filled", 2),
    ]


def test_isolation(connected, sockets):
    """A user's connection receives nothing of another user's, nor what concerns admins only."""
    for number in range(30):
        connected.happen("order.filled", str(1 + number % 2), {"of": str(1 + number % 2)})
        connected.happen("audit.entry", None, {"of": "nobody"})
    connected.deliver()
    for user_id in ("1", "2"):
        assert {message["payload"]["of"] for message in sockets.sent[f"c{user_id}"]} == {user_id}
        assert [message["sequence"] for message in sockets.sent[f"c{user_id}"]] == list(range(1, 16))
    assert len(sockets.sent["c9"]) == 60


def test_one_look_per_stream(connected, monkeypatch):
    """However many events of a stream come together, the connections are looked up once."""
    looked = []
    original = store.listeners
    monkeypatch.setattr(
        store, "listeners", lambda stream, now: looked.append(stream) or original(stream, now)
    )
    for _ in range(4):
        connected.happen("order.filled", None)
    connected.deliver()
    assert looked == ["admin"]


def test_gone_forgotten(connected, sockets):
    """A connection that is gone is forgotten, and the others get their events."""
    sockets.gone.add("c1")
    connected.happen("order.filled")
    connected.deliver()
    assert aws.get("connections", {"connection_id": "c1"}) is None
    assert sockets.types("c9") == ["order.filled"]


def test_slow_passed_over(connected, sockets):
    """A connection that does not take a message in time is skipped for a while.

    It keeps its position and resumes the missed events.
    """
    sockets.slow.add("c1")
    connected.happen("order.placed")
    connected.deliver()
    sockets.slow.clear()
    connected.happen("order.filled")
    connected.deliver()
    assert sockets.sent["c1"] == []
    assert sockets.types("c9") == ["order.placed", "order.filled"]
    connected.say("c1", {"type": "resume", "after": 0})
    assert sockets.types("c1") == ["order.placed", "order.filled", "resumed"]
    post._slow["c1"] = time.monotonic()
    connected.happen("order.closed")
    connected.deliver()
    assert sockets.last("c1")["sequence"] == 3


def test_slow_delays_nobody(sockets, monkeypatch):
    """While one connection hangs, the others have their messages."""

    def post_slowly(*, ConnectionId, Data):  # noqa: N803
        if ConnectionId == "slow":
            time.sleep(0.5)
        sockets.sent[ConnectionId].append((time.monotonic() - started, Data))

    monkeypatch.setattr(sockets, "post_to_connection", post_slowly)
    started = time.monotonic()
    assert post.fan_out([("slow", [b"{}"]), *[(f"c{number}", [b"1", b"2"]) for number in range(200)]]) == []
    assert max(sockets.sent[f"c{number}"][-1][0] for number in range(200)) < 0.4
    assert [data for _, data in sockets.sent["c7"]] == [b"1", b"2"]


def test_batch(connected, sockets):
    """A connection that asked for it gets events that come together in one message, in order.

    A single one as ever.
    """
    connected.say("c1", {"type": "subscribe", "batch": True})
    sockets.sent["c1"].clear()
    for _ in range(3):
        connected.happen("order.filled")
    connected.deliver()
    [together] = sockets.sent["c1"]
    assert together["type"] == "events"
    assert [event["sequence"] for event in together["events"]] == [1, 2, 3]
    connected.happen("order.filled")
    connected.deliver()
    assert sockets.last("c1")["sequence"] == 4


def test_large_trimmed(connected, sockets, tokens):
    """A message over 128 KB keeps its small values, names the omitted ones, and links to the full event."""
    connected.happen("order.filled", None, {"order_id": "7", "notes": "x" * 150_000})
    connected.deliver()
    [message] = sockets.sent["c9"]
    assert message["payload"] == {"order_id": "7"}
    assert message["trimmed"] == ["notes"]
    assert message["whole"] == "http://localhost:8080/realtime/events/1"
    assert max(sockets.sizes) < LIMIT
    whole = call(app, "GET", "/realtime/events/1", **_event_call(tokens["9"], "1"))
    assert whole[0] == 200
    assert whole[1]["payload"]["notes"] == "x" * 150_000


def test_batch_split(connected, sockets):
    """Events that do not fit into one message come in several."""
    connected.say("c1", {"type": "subscribe", "batch": True})
    for _ in range(5):
        connected.happen("order.filled", "1", {"notes": "x" * 50_000})
    sockets.sent["c1"].clear()
    connected.deliver()
    assert [
        [event["sequence"] for event in message["events"]] if "events" in message else message["sequence"]
        for message in sockets.sent["c1"]
    ] == [
        [1, 2],
        [3, 4],
        5,
    ]
    assert max(sockets.sizes) <= LIMIT


def test_many_small_values_trimmed(connected, sockets):
    """Even a payload of very many small values fits."""
    connected.happen("order.filled", None, {f"name{number}": "x" * 900 for number in range(200)})
    connected.deliver()
    assert max(sockets.sizes) <= LIMIT


def test_whole_event_of_own_stream(connected, tokens):
    """An event is read by its number in the reader's own stream, so no user reads another's."""
    connected.happen("order.filled", "1", {"of": "1"})
    connected.happen("order.filled", "2", {"of": "2"})
    assert call(app, "GET", "/realtime/events/1", **_event_call(tokens["2"], "1"))[1]["payload"] == {
        "of": "2"
    }
    assert call(app, "GET", "/realtime/events/2", **_event_call(tokens["9"], "2"))[1]["payload"] == {
        "of": "2"
    }
    assert call(app, "GET", "/realtime/events/2", **_event_call(tokens["2"], "2"))[0] == 404


@pytest.mark.parametrize("sequence", ["0", "-1", "x", "1" * 40, "²"])
def test_no_such_event(connected, tokens, sequence):
    """An invalid number in a stream is not found."""
    connected.happen("order.filled")
    assert call(app, "GET", f"/realtime/events/{sequence}", **_event_call(tokens["1"], sequence))[0] == 404


def test_repeated_delivery(connected, sockets):
    """A batch that is delivered twice has the same sequences, by which clients drop duplicates."""
    connected.happen("order.filled")
    client = aws.client("sqs")
    url = client.get_queue_url(QueueName="test-realtime.fifo")["QueueUrl"]
    messages = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])[
        "Messages"
    ]
    from functions import push_realtime
    from testkit.gateway import CONTEXT, queue_event

    for _ in range(2):
        push_realtime.handler(queue_event(messages), CONTEXT)
    assert [message["sequence"] for message in sockets.sent["c1"]] == [1, 1]


def test_failed_group_comes_again(connected, sockets, monkeypatch):
    """A stream whose connections cannot be looked up comes again as a whole; the other streams are served."""
    original = store.listeners

    def hearing(stream, now):
        if stream == "user#1":
            raise RuntimeError("throttled")
        return original(stream, now)

    monkeypatch.setattr(store, "listeners", hearing)
    connected.happen("order.placed")
    connected.happen("order.filled")
    assert len(connected.deliver()["batchItemFailures"]) == 2
    assert sockets.types("c9") == ["order.placed", "order.filled"]
    assert sockets.sent["c1"] == []


def test_prices(connected, sockets):
    """Prices go, unstored, to connections that named them.

    Public ones to all, a user's to that user and the admins.
    """
    queue.push_price("BTC/USDT", Decimal("1E+5"), None)
    connected.deliver()
    assert sockets.types("c1") == []
    for connection in ("c1", "c2", "c9"):
        connected.say(connection, {"type": "subscribe", "types": ["*", "market.price"]})
        sockets.sent[connection].clear()
    queue.push_price("BTC/USDT", Decimal("1E+5"), None)
    queue.push_price("AAPL", Decimal("185.50"), "2")
    connected.deliver()
    [price] = sockets.sent["c1"]
    assert price == {
        "type": "market.price",
        "payload": {"symbol": "BTC/USDT", "price": "100000"},
        "timestamp": price["timestamp"],
    }
    assert {message["payload"]["symbol"] for message in sockets.sent["c2"]} == {
        "BTC/USDT",
        "AAPL",
    }  # two symbols have no order
    assert {message["payload"]["symbol"] for message in sockets.sent["c9"]} == {
        "BTC/USDT",
        "AAPL",
    }  # two symbols have no order
    assert aws.client("dynamodb").scan(TableName="test-events")["Count"] == 0
    connected.say("c1", {"type": "unsubscribe", "types": ["market.price"]})
    queue.push_price("BTC/USDT", Decimal(1), None)
    connected.deliver()
    assert sockets.last("c1")["type"] == "subscribed"


@pytest.mark.parametrize("symbol", ["比特币/USDT", "A B/USDT", "X" * 200], ids=["letters", "space", "long"])
def test_prices_of_any_symbol(connected, sockets, monkeypatch, symbol):
    """Every symbol's price is pushed, in a message group that SQS takes: ASCII, up to 128 characters."""
    groups = []
    send = queue._send
    monkeypatch.setattr(
        queue, "_send", lambda *args, **more: groups.append(more["group"]) or send(*args, **more)
    )
    connected.say("c1", {"type": "subscribe", "types": ["market.*"]})
    queue.push_price(symbol, Decimal(1), None)
    connected.deliver()
    assert sockets.last("c1")["payload"]["symbol"] == symbol
    assert [group for group in groups if not re.fullmatch(r"[!-~]{1,128}", group)] == []
    assert groups


def test_newest_price_only(connected, sockets):
    """Of prices that wait together only the newest of a symbol goes out."""
    from chalicelib.realtime.push import push

    connected.say("c1", {"type": "subscribe", "types": ["market.*"]})
    price = {"symbol": "BTC/USDT", "timestamp": "2026-01-01T00:00:00+00:00", "user_id": None}
    push([json.dumps({"price": {**price, "price": str(number)}}) for number in range(5)])
    assert [message["payload"]["price"] for message in sockets.sent["c1"][1:]] == ["4"]


def _event_call(token, sequence):
    return {
        "headers": {"Authorization": f"Bearer {token}"},
        "route": "/realtime/events/{sequence}",
        "path_parameters": {"sequence": sequence},
    }
