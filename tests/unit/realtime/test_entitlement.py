"""A connection ends with what opened it: its token, its user's activity and role."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import aws
from chalicelib.users import change, credentials
from chalicelib.users import tokens as user_tokens
from chalicelib.users.credentials import Kind
from testkit import records


def _publish(realtime):
    """Publishes the outbox and pushes its events."""
    from chalicelib.events import publish

    publish.publish(
        [
            (item["owner"]["S"], item["event_id"]["S"])
            for item in aws.client("dynamodb").scan(TableName="test-outbox")["Items"]
        ]
    )
    realtime.deliver()


def _connected_with(realtime, connection_id, **more):
    """Opens a connection of user 1 with its own token; returns the token's id."""
    made = user_tokens.create_token("1", Kind.API, by="9", name=connection_id, **more)
    assert realtime.connect(connection_id, {"token": made.token}) == 200
    return made.item["token_id"]


def test_revoked_token(connected, sockets):
    """A revoked token closes its connections before anything else is sent to them, and no others."""
    token_id = _connected_with(connected, "mine")
    _publish(connected)
    user_tokens.revoke_token("1", token_id, by="9")
    _publish(connected)
    assert sockets.closed == ["mine"]
    assert sockets.last("mine")["type"] == "token.created"
    assert aws.get("connections", {"connection_id": "mine"}) is None
    connected.happen("order.filled")
    connected.deliver()
    assert (sockets.last("mine")["type"], sockets.last("c1")["type"]) == ("token.created", "order.filled")


def test_ticket_of_revoked_token(connected, tokens, sockets):
    """A connection opened with a ticket ends with the token of the ticket's request."""
    from tests.unit.realtime.test_connect import _ticket

    made = user_tokens.create_token("1", Kind.API, by="9")
    assert connected.connect("mine", {"ticket": _ticket(made.token)}) == 200
    connected.deliver()
    user_tokens.revoke_token("1", made.item["token_id"], by="9")
    _publish(connected)
    assert sockets.closed == ["mine"]


@pytest.mark.parametrize(
    ("user_id", "wanted"), [("1", {"is_active": False}), ("9", {"is_active": False}), ("9", {"role": "user"})]
)
def test_changed_user(connected, sockets, user_id, wanted):
    """Deactivating a user, or changing the role, closes that user's connections."""
    change.update_user(user_id, wanted, by="9")
    _publish(connected)
    assert sockets.closed == [f"c{user_id}"]


def test_other_changes(connected, sockets):
    """A new name, new settings or a new token close nothing."""
    change.update_user("1", {"first_name": "Ada"}, by="9")
    change.update_settings("1", {"leverage": 3}, by="9")
    user_tokens.create_token("1", Kind.API, by="9")
    _publish(connected)
    assert sockets.closed == []
    assert "user.updated" in sockets.types("c1")


def test_rotated_token(connected, sockets):
    """After a rotation the old token's connections end with its overlap."""
    token_id = _connected_with(connected, "mine")
    _publish(connected)
    user_tokens.rotate_token("1", token_id, by="9", overlap=timedelta(minutes=3))
    _publish(connected)
    assert sockets.closed == []
    assert connected.say("mine", {"type": "ping"})["type"] == "reconnect"  # its end is near
    ends = datetime.fromisoformat(aws.get("connections", {"connection_id": "mine"})["token_expires_at"])
    assert timedelta(0) < ends - datetime.now(UTC) <= timedelta(minutes=3)


def test_expired_token(realtime, sockets):
    """A connection with an expired token gets no more events, and is closed when it speaks."""
    token = records.add_token("1", Kind.API, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    realtime.connect("c", {"token": token})
    realtime.deliver()
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    aws.write(
        aws.update_write("connections", {"connection_id": "c"}, "SET token_expires_at = :then", then=past)
    )
    realtime.happen("order.filled")
    realtime.deliver()
    assert sockets.types("c") == ["connection"]
    realtime.say("c", {"type": "ping"})
    assert sockets.closed == ["c"]


def test_resume_asks_again(connected, sockets):
    """Without an event about the loss, an inactive user's connection gets no replay either."""
    connected.happen("order.filled")
    records.add_user("1", is_active=False)
    assert connected.say("c1", {"type": "resume", "after": 0})["code"] == "user_not_active"
    assert sockets.closed == ["c1"]


@pytest.mark.parametrize("loss", ["inactive", "demoted", "revoked", "expired", "deleted"])
def test_nothing_is_sent_after_the_loss(connected, tokens, sockets, loss):
    """An event pushed after the loss does not reach the connection, even before an event about the loss."""
    key = {"token_hash": credentials.digest(tokens["9"])}
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    if loss in ("inactive", "demoted"):
        records.add_user("9", role="admin" if loss == "inactive" else "user", is_active=loss != "inactive")
    elif loss == "deleted":
        aws.write(aws.delete_write("credentials", key))
    else:
        aws.write(
            aws.update_write(
                "credentials",
                key,
                f"SET {'revoked_at' if loss == 'revoked' else 'expires_at'} = :past",
                past=past,
            )
        )
    connected.happen("payment.completed")
    connected.deliver()
    assert (sockets.types("c9"), sockets.closed) == ([], ["c9"])
    assert sockets.types("c1") == ["payment.completed"]


@pytest.mark.parametrize("when", ["use", "join"])
@pytest.mark.parametrize("loss", ["inactive", "revoked", "expired", "deleted"])
def test_a_ticket_opens_no_more_than_its_token(realtime, tokens, sockets, loss, when):
    """A ticket whose token or user has ended opens nothing.

    Between its use and the joining the connection is closed.
    """
    from tests.unit.realtime.test_connect import _ticket

    ticket = _ticket(tokens["1"])
    if when == "join":
        assert realtime.connect("mine", {"ticket": ticket}) == 200
    key = {"token_hash": credentials.digest(tokens["1"])}
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    if loss == "inactive":
        records.add_user("1", is_active=False)
    elif loss == "deleted":
        aws.write(aws.delete_write("credentials", key))
    else:
        aws.write(
            aws.update_write(
                "credentials",
                key,
                f"SET {'revoked_at' if loss == 'revoked' else 'expires_at'} = :past",
                past=past,
            )
        )
    if when == "use":
        assert realtime.connect("mine", {"ticket": ticket}) in (401, 403)
        return
    realtime.deliver()
    realtime.happen("order.filled")
    realtime.deliver()
    assert ("order.filled" in sockets.types("mine"), sockets.closed) == (False, ["mine"])
