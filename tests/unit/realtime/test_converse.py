"""Client messages and their answers: every message type, and unknown ones."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import aws
from testkit import records


def test_ping(connected):
    """A ping is answered as the seed prints it."""
    assert connected.say("c1", {"type": "ping"}) == {"type": "pong"}


def test_ping_after(connected):
    """A ping with a sequence gets the stream's position."""
    connected.happen("order.filled")
    assert connected.say("c1", {"type": "ping", "after": 0}) == {"type": "pong", "last": 1}


@pytest.mark.parametrize("words", [("register", "unregister"), ("login", "logout")])
def test_register(connected, words):
    """A dashboard registers and unregisters under both names; the socket stays open."""
    assert connected.say("c1", {"type": words[0], "user_uuid": "uuid-1"}) == {
        "type": "registered",
        "user_uuid": "uuid-1",
    }
    assert aws.get("connections", {"connection_id": "c1"})["registered_as"] == "uuid-1"
    assert connected.say("c1", {"type": words[1]}) == {"type": "unregistered"}
    assert aws.get("connections", {"connection_id": "c1"})["registered_as"] is None
    assert connected.say("c1", {"type": "ping"}) == {"type": "pong"}


def test_register_as_another(connected):
    """A user registers only as that user; an admin as any user."""
    answer = connected.say("c1", {"type": "register", "user_uuid": "uuid-2"})
    assert (answer["type"], answer["code"]) == ("error", "not_your_uuid")
    assert connected.say("c9", {"type": "register", "user_uuid": "uuid-2"}) == {
        "type": "registered",
        "user_uuid": "uuid-2",
    }


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "broken_body"),
        ("{", "broken_body"),
        ("[" * 100_000, "too_deep"),
        ('{"type": "login", "user_uuid": "\\ud800"}', "not_utf8"),
        ('{"type": "ping", "type": "ping"}', "duplicate_field"),
        ('{"type": "resume", "after": NaN}', "invalid_number"),
        ('{"type": "resume", "after": 1e999999}', "invalid_number"),
        ("[]", "not_a_json_object"),
        ("1", "not_a_json_object"),
        ({}, "invalid_choice"),
        ({"type": "dance"}, "invalid_choice"),
        ({"type": ["ping"]}, "invalid_choice"),
        ({"type": {}}, "invalid_choice"),
        ({"type": "register"}, "missing_field"),
        ({"type": "register", "user_uuid": 1}, "missing_field"),
        ({"type": "login", "user_uuid": "u" * 101}, "too_long"),
        ({"type": "resume"}, "invalid_sequence"),
        ({"type": "resume", "after": "1"}, "invalid_sequence"),
        ({"type": "resume", "after": -1}, "invalid_sequence"),
        ({"type": "resume", "after": True}, "invalid_sequence"),
        ({"type": "resume", "after": 1.5}, "invalid_sequence"),
        ({"type": "resume", "after": 10**40}, "invalid_sequence"),
        ({"type": "subscribe", "types": "order.*"}, "invalid_choice"),
        ({"type": "subscribe", "types": ["order*"]}, "invalid_choice"),
        ({"type": "subscribe", "types": [1]}, "invalid_choice"),
        ({"type": "subscribe", "types": ["oder.filled"]}, "unknown_event_type"),
        ({"type": "subscribe", "type_": ["order.*"]}, "unknown_field"),
        ({"type": "resume", "since": 3}, "unknown_field"),
        ({"type": "subscribe", "types": [f"t{n}" for n in range(21)]}, "too_many_fields"),
        ({"type": "subscribe", "batch": "yes"}, "invalid_choice"),
    ],
)
def test_misunderstood(connected, message, code):
    """What cannot be understood is answered by an error with its code, and the connection stays open."""
    answer = connected.say("c1", message)
    assert answer["type"] == "error"
    assert answer["code"] == code
    assert answer["error"]
    assert connected.say("c1", {"type": "ping"}) == {"type": "pong"}


def test_unknown_connection_closed(connected, sockets):
    """An unrecorded connection would get no events, so it is closed and its client connects again."""
    connected.say("stranger", {"type": "ping"})
    assert sockets.closed == ["stranger"]


def test_reconnect_hint(connected, sockets):
    """In its last ten minutes a connection that speaks is asked to connect again."""
    since = datetime.now(UTC) - timedelta(minutes=111)
    aws.write(
        aws.update_write(
            "connections", {"connection_id": "c1"}, "SET connected_at = :then", then=since.isoformat()
        )
    )
    hint = connected.say("c1", {"type": "ping"})
    assert sockets.types("c1") == ["pong", "reconnect"]
    assert hint["before"] == (since + timedelta(hours=2)).isoformat()


def test_subscribe(connected, sockets):
    """A new subscription replaces the earlier one."""
    assert connected.say("c1", {"type": "subscribe", "types": ["order.*", "user.created"]}) == {
        "type": "subscribed",
        "types": ["order.*", "user.created"],
        "batch": False,
    }
    for type_ in ("order.filled", "orders.gone", "signal.settled", "user.created", "user.created.twice"):
        connected.happen(type_)
    connected.deliver()
    assert sockets.types("c1") == ["subscribed", "order.filled", "user.created"]
    assert sockets.types("c2") == []


def test_unsubscribe(connected, sockets):
    """Unsubscribing removes patterns, or without any restores those of a new connection."""
    connected.say("c1", {"type": "subscribe", "types": ["order.*", "signal.*"]})
    assert connected.say("c1", {"type": "unsubscribe", "types": ["order.*"]})["types"] == ["signal.*"]
    assert connected.say("c1", {"type": "unsubscribe", "types": ["signal.*"]})["types"] == []
    connected.happen("signal.settled")
    connected.deliver()
    assert sockets.last("c1")["type"] == "subscribed"
    assert connected.say("c1", {"type": "unsubscribe"})["types"] == ["*"]
    connected.happen("signal.settled")
    connected.deliver()
    assert sockets.last("c1")["sequence"] == 2


def test_deactivated_gets_no_replay(connected, sockets):
    """A user deactivated since connecting is replayed nothing, and the connection is closed."""
    connected.happen("order.filled")
    records.add_user("1", is_active=False)
    assert connected.say("c1", {"type": "resume", "after": 0})["code"] == "user_not_active"
    assert sockets.types("c1") == ["error"]
    assert sockets.closed == ["c1"]


def test_demoted_gets_no_replay(connected, sockets):
    """A former admin is not replayed the admins' stream."""
    connected.happen("order.filled")
    records.add_user("9")
    assert connected.say("c9", {"type": "resume", "after": 0})["code"] == "user_not_active"
    assert sockets.types("c9") == ["error"]
