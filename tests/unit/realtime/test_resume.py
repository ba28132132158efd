"""Resuming: exactly the missed events, or that they are unavailable."""

import pytest

from chalicelib import aws
from chalicelib.realtime import resume


def test_missed(connected, sockets):
    """A client gets exactly the events after its sequence, in order, and then the stream's position."""
    for _ in range(5):
        connected.happen("order.filled")
    connected.say("c1", {"type": "resume", "after": 2})
    assert [message["sequence"] for message in sockets.sent["c1"][:-1]] == [3, 4, 5]
    assert sockets.last("c1") == {"type": "resumed", "recovered": True, "last": 5}


@pytest.mark.parametrize(("happened", "after"), [(0, 0), (3, 3)])
def test_nothing_missed(connected, sockets, happened, after):
    """A client that missed nothing gets `recovered`."""
    for _ in range(happened):
        connected.happen("order.filled")
    assert connected.say("c1", {"type": "resume", "after": after}) == {
        "type": "resumed",
        "recovered": True,
        "last": after,
    }
    assert sockets.types("c1") == ["resumed"]


def test_from_the_future(connected):
    """A sequence that the stream never had means that the client knows another past."""
    connected.happen("order.filled")
    assert connected.say("c1", {"type": "resume", "after": 2}) == {
        "type": "resumed",
        "recovered": False,
        "last": 1,
    }


def test_too_much(connected, sockets, monkeypatch):
    """A client that missed too much gets no replay, but the stream's position."""
    monkeypatch.setattr(resume, "MOST", 3)
    for _ in range(4):
        connected.happen("order.filled")
    assert connected.say("c1", {"type": "resume", "after": 0}) == {
        "type": "resumed",
        "recovered": False,
        "last": 4,
    }
    assert sockets.types("c1") == ["resumed"]
    connected.say("c1", {"type": "resume", "after": 1})
    assert sockets.last("c1") == {"type": "resumed", "recovered": True, "last": 4}


@pytest.mark.parametrize("forgotten", [1, 2, 3])
def test_forgotten(connected, sockets, forgotten):
    """If the log has forgotten any one of the missed events, none is replayed.

    A gap would pass for completeness.
    """
    for _ in range(3):
        connected.happen("order.filled")
    aws.write(aws.delete_write("events", {"stream": "user#1", "sequence": forgotten}))
    assert connected.say("c1", {"type": "resume", "after": 0}) == {
        "type": "resumed",
        "recovered": False,
        "last": 3,
    }
    assert sockets.types("c1") == ["resumed"]


def test_only_own(connected, sockets):
    """A user's resume replays that user's stream, whatever sequence is named."""
    for number in range(6):
        connected.happen("order.filled", str(1 + number % 2), {"of": str(1 + number % 2)})
    connected.say("c2", {"type": "resume", "after": 0})
    assert [message["payload"]["of"] for message in sockets.sent["c2"][:-1]] == ["2", "2", "2"]
    connected.say("c9", {"type": "resume", "after": 0})
    assert len(sockets.sent["c9"]) == 7


def test_register_does_not_widen(connected, sockets):
    """Registering, even as oneself, opens no other stream to resume from."""
    connected.happen("order.filled", "2")
    connected.say("c1", {"type": "register", "user_uuid": "uuid-2"})
    connected.say("c1", {"type": "resume", "after": 0})
    assert sockets.types("c1") == ["error", "resumed"]


def test_filtered(connected, sockets):
    """A replay has only subscribed events; `last` still is the stream's position."""
    for type_ in ("order.placed", "signal.settled", "order.filled"):
        connected.happen(type_)
    connected.say("c1", {"type": "subscribe", "types": ["signal.*"]})
    connected.say("c1", {"type": "resume", "after": 0})
    assert sockets.types("c1") == ["subscribed", "signal.settled", "resumed"]
    assert sockets.last("c1")["last"] == 3


def test_large_replay(connected, sockets):
    """A replay of more than one page of the log is complete, and packed for who takes packs."""
    for _ in range(14):
        connected.happen("order.filled", "1", {"notes": "x" * 100_000})
    connected.say("c1", {"type": "subscribe", "batch": True})
    connected.say("c1", {"type": "resume", "after": 0})
    sequences = [
        event["sequence"]
        for message in sockets.sent["c1"]
        for event in message.get("events", [message])
        if "sequence" in event
    ]
    assert sequences == list(range(1, 15))
    assert sockets.last("c1") == {"type": "resumed", "recovered": True, "last": 14}
