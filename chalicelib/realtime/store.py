"""Who is connected."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from chalicelib import aws
from chalicelib.events.models import ADMIN_STREAM
from chalicelib.realtime import patterns

LIFETIME = timedelta(hours=2)  # API Gateway ends every WebSocket connection after two hours
_MARGIN = timedelta(minutes=10)  # between its end and our forgetting it


class Connection(BaseModel):
    """An open connection.

    Attributes:
        stream: What it hears: the admins' stream, or its user's.
        registered_as: The `user_uuid` a dashboard registered with; None before and after.
        types: Patterns of the types it hears.
        batch: It takes several events in one message.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    connection_id: str
    stream: str
    user_id: str
    user_uuid: str
    role: str
    connected_at: datetime
    source_ip: str
    device: str
    registered_as: str | None = None
    types: tuple[str, ...] = (patterns.EVERYTHING,)
    batch: bool = False

    @property
    def ends_at(self) -> datetime:
        """When API Gateway ends it at the latest."""
        return self.connected_at + LIFETIME


def add(connection: Connection) -> None:
    """Records a connection; it is forgotten by itself if nobody says that it closed."""
    item = connection.model_dump() | {
        "connected_at": connection.connected_at.isoformat(),
        "forget_at": int((connection.ends_at + _MARGIN).timestamp()),
        "open": "1",
    }
    if patterns.hears(connection.types, patterns.PRICE):
        item["prices"] = "1"
    aws.write(aws.put("connections", item))


def get(connection_id: str) -> Connection | None:
    """A connection; None if it is not recorded."""
    item = aws.get("connections", {"connection_id": connection_id})
    return Connection.model_validate(item) if item else None


def remove(connection_id: str) -> None:
    """Forgets a connection."""
    aws.write(aws.delete("connections", {"connection_id": connection_id}))


def register(connection_id: str, user_uuid: str | None) -> None:
    """Notes as whom a dashboard registered; None when it unregistered."""
    _change(connection_id, "SET registered_as = :uuid", uuid=user_uuid)


def subscribe(connection_id: str, types: Sequence[str], *, batch: bool) -> None:
    """Notes what a connection hears. It stands in the index `prices` only while it hears prices."""
    change = "SET #types = :types, #batch = :batch"
    if patterns.hears(types, patterns.PRICE):
        _change(connection_id, f"{change}, prices = :yes", types=list(types), batch=batch, yes="1")
    else:
        _change(connection_id, f"{change} REMOVE prices", types=list(types), batch=batch)


def hearing(stream: str, now: datetime) -> Sequence[Connection]:
    """The connections that hear a stream, those aside that API Gateway has ended without telling us."""
    items = aws.query_all(
        "connections", "#stream = :stream AND connected_at > :since", index="by_stream", stream=stream, since=_oldest(now)
    )
    return [Connection.model_validate(item) for item in items]


def hearing_prices(now: datetime) -> Sequence[Connection]:
    """The connections that hear prices, whoever's."""
    items = aws.query_all("connections", "prices = :yes AND connected_at > :since", index="prices", yes="1", since=_oldest(now))
    return [Connection.model_validate(item) for item in items]


def may_see_price(connection: Connection, user_id: str | None) -> bool:
    """Whether a price is for a connection: one without a user is for everybody, a user's for that user and the admins."""
    return user_id is None or connection.stream == ADMIN_STREAM or connection.user_id == user_id


def _oldest(now: datetime) -> str:
    return (now - LIFETIME - _MARGIN).astimezone(UTC).isoformat()


def _change(connection_id: str, change: str, **values: object) -> None:
    """A change to a recorded connection; one that is gone by now needs none."""
    try:
        aws.write(aws.update("connections", {"connection_id": connection_id}, change, "attribute_exists(connection_id)", **values))
    except aws.WriteRefused:
        return
