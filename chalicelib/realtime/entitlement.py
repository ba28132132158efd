"""Whether connections may stay open: their tokens and users may have changed since the upgrade."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from chalicelib import aws
from chalicelib.realtime import store
from chalicelib.realtime.post import close
from chalicelib.telemetry import log
from chalicelib.users.entitlement import entitled, is_valid
from chalicelib.users.models import User

_AT_ONCE = 50  # connections in one read: a token and a user each
_Heard = TypeVar("_Heard", bound=store.Listener)


def permitted(connections: Sequence[_Heard]) -> list[_Heard]:
    """Returns the connections that their tokens and users still permit. Closes the others."""
    allowed: list[_Heard] = []
    for start in range(0, len(connections), _AT_ONCE):
        part = connections[start : start + _AT_ONCE]
        tokens: list[tuple[str, aws.Key]] = [
            ("credentials", {"token_hash": each.token_hash}) for each in part
        ]
        users: list[tuple[str, aws.Key]] = [
            ("users", {"user_id": each.user_id, "part": "profile"}) for each in part
        ]
        found = aws.get_many([*tokens, *users])
        for connection, credential, profile in zip(part, found[: len(part)], found[len(part) :], strict=True):
            if _permits(connection, credential, User.model_validate(profile) if profile else None):
                allowed.append(connection)
    return allowed


def is_still_entitled(connection: store.Connection) -> bool:
    """Returns whether token and user still permit the connection. Closes it if not."""
    return bool(permitted([connection]))


def _permits(connection: store.Listener, credential: aws.Item | None, user: User | None) -> bool:
    if not is_valid(credential, datetime.now(UTC)) or not entitled(user, connection.stream):
        log.info(
            "connection closed by us",
            extra={"connection_id": connection.connection_id, "user_id": connection.user_id},
        )
        close(connection.connection_id)
        store.remove(connection.connection_id)
        return False
    ends = credential.get("expires_at") if credential else None
    if ends and datetime.fromisoformat(ends) != connection.token_expires_at:
        store.token_ends(connection.connection_id, datetime.fromisoformat(ends))
    return True
