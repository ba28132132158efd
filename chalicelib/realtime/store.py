"""Who is connected."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from chalicelib import aws

_LONGEST = timedelta(hours=2)  # API Gateway ends every WebSocket connection after two hours


class Connection(BaseModel):
    """An open connection.

    Attributes:
        stream: What it hears: the admins' stream, or its user's.
        registered_as: The `user_uuid` a dashboard registered with; None before and after.
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


def add(connection: Connection) -> None:
    """Records a connection; it is forgotten by itself if nobody says that it closed."""
    forget_at = int((datetime.now(UTC) + _LONGEST).timestamp())
    item = connection.model_dump() | {"connected_at": connection.connected_at.isoformat(), "forget_at": forget_at}
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
    key = {"connection_id": connection_id}
    aws.write(aws.update("connections", key, "SET registered_as = :uuid", "attribute_exists(connection_id)", uuid=user_uuid))


def hearing(stream: str) -> Sequence[str]:
    """The ids of the connections that hear a stream."""
    return [item["connection_id"] for item in aws.query_all("connections", "#stream = :stream", index="by_stream", stream=stream)]
