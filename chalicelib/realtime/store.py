"""The store of open connections."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from chalicelib import aws
from chalicelib.events.models import ADMIN_STREAM
from chalicelib.realtime import patterns

LIFETIME = timedelta(hours=2)  # API Gateway ends every WebSocket connection after two hours
_MARGIN = timedelta(minutes=10)  # between the end of a connection and its deletion here
INTERNAL = ("stream", "batch", "after", "resuming", "joined", "token_hash", "token_expires_at")
"""Fields that the API never shows."""


class Listener(BaseModel):
    """What the push of events needs of an open connection.

    Attributes:
        types: Patterns of the types that it subscribes to.
        batch: It takes several events in one message.
        joined: The sequence from which it gets live events. None until it has been welcomed and has got the
            earlier ones.
        stream: The admins' stream, or its user's.
        token_hash: The digest of the token that opened it, directly or by a ticket.
        token_expires_at: When that token expires. None for a token without an end.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    connection_id: str
    user_id: str
    connected_at: datetime
    types: tuple[str, ...] = (patterns.EVERYTHING,)
    batch: bool = False
    joined: int | None = None
    stream: str
    role: str
    token_hash: str = ""
    token_expires_at: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        """Returns its latest end: by API Gateway's limit, or with its token."""
        end = self.connected_at + LIFETIME
        return min(end, self.token_expires_at) if self.token_expires_at else end


class Connection(Listener):
    """An open connection.

    Attributes:
        registered_as: The `user_uuid` that a dashboard registered with. None before and after.
        after: The newest sequence of its stream at the opening, or the one that it resumes from.
        resuming: It resumes, and gets a message when it has all missed events.
    """

    user_uuid: str
    source_ip: str
    device: str
    registered_as: str | None = None
    after: int = 0
    resuming: bool = False


def add(connection: Connection) -> None:
    """Records a connection. It expires if no close arrives."""
    item = connection.model_dump(exclude={"joined", "token_expires_at"}) | {
        "connected_at": connection.connected_at.isoformat(),
        "forget_at": int((connection.ends_at + _MARGIN).timestamp()),
        "open": "1",
    }
    if connection.token_expires_at:
        item["token_expires_at"] = connection.token_expires_at.isoformat()
    if patterns.is_heard(connection.types, patterns.PRICE):
        item["prices"] = "1"
    aws.write(aws.put_write("connections", item))


def get(connection_id: str) -> Connection | None:
    """Returns a connection. None if it is not recorded."""
    item = aws.get("connections", {"connection_id": connection_id})
    return Connection.model_validate(item) if item else None


def remove(connection_id: str) -> None:
    """Deletes a connection."""
    aws.write(aws.delete_write("connections", {"connection_id": connection_id}))


def register(connection_id: str, user_uuid: str | None) -> None:
    """Records the registration of a dashboard. None unregisters."""
    _change(connection_id, "SET registered_as = :uuid", uuid=user_uuid)


def subscribe(connection_id: str, types: Sequence[str], *, batch: bool) -> None:
    """Records subscriptions. The index `prices` holds only connections that subscribe to prices."""
    change = "SET #types = :types, #batch = :batch"
    if patterns.is_heard(types, patterns.PRICE):
        _change(connection_id, f"{change}, prices = :yes", types=list(types), batch=batch, yes="1")
    else:
        _change(connection_id, f"{change} REMOVE prices", types=list(types), batch=batch)


def join(connection_id: str, sequence: int) -> None:
    """Records that a connection has been welcomed and has every event up to a sequence."""
    _change(connection_id, "SET joined = :sequence", sequence=sequence)


def token_ends(connection_id: str, expires_at: datetime) -> None:
    """Records when a connection's token expires."""
    _change(connection_id, "SET token_expires_at = :at", at=expires_at.isoformat())


def listeners(stream: str, now: datetime) -> Sequence[Listener]:
    """Returns the connections that have joined a stream, without those that have already ended."""
    condition = "#stream = :stream AND #connected_at > :since"
    items = aws.query_all(
        "connections",
        condition,
        index="by_stream",
        only=Listener.model_fields,
        stream=stream,
        since=_oldest(now),
    )
    found = [Listener.model_validate(item) for item in items]
    # An index follows its table a moment later, so a connection that has not joined there is read from the
    # table.
    current = [
        connection if connection.joined is not None else get(connection.connection_id) for connection in found
    ]
    return [
        connection
        for connection in current
        if connection and connection.joined is not None and connection.ends_at > now
    ]


def price_listeners(now: datetime) -> Sequence[Connection]:
    """Returns all connections that subscribe to prices."""
    items = aws.query_all(
        "connections", "prices = :yes AND connected_at > :since", index="prices", yes="1", since=_oldest(now)
    )
    found = [Connection.model_validate(item) for item in items]
    return [connection for connection in found if connection.joined is not None and connection.ends_at > now]


def may_see_price(connection: Connection, user_id: str | None) -> bool:
    """Returns whether a connection may see a price.

    Everybody may see a price without a user. A user's price is for that user and the admins.
    """
    return user_id is None or connection.stream == ADMIN_STREAM or connection.user_id == user_id


def _oldest(now: datetime) -> str:
    return (now - LIFETIME - _MARGIN).astimezone(UTC).isoformat()


def _change(connection_id: str, change: str, **values: object) -> None:
    """Changes a recorded connection. No-op if it is gone."""
    try:
        aws.write(
            aws.update_write(
                "connections",
                {"connection_id": connection_id},
                change,
                "attribute_exists(connection_id)",
                **values,
            )
        )
    except aws.WriteRefused:
        return
