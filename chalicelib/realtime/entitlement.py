"""Whether a connection may go on: its token and its user may have changed since it was opened."""

from datetime import UTC, datetime

from chalicelib import aws
from chalicelib.realtime import store
from chalicelib.realtime.post import close
from chalicelib.telemetry import log
from chalicelib.users.models import User

CHANGES = frozenset({"user.updated", "user.deactivated", "token.revoked", "token.rotated"})
"""Events after which a user's connections are looked at again."""


def renewed(connection: store.Connection) -> bool:
    """Looks at token and user; closes the connection, and is False, if one of them does not open it any more."""
    credential, profile = aws.get_many(
        [("credentials", {"token_hash": connection.token_hash}), ("users", {"user_id": connection.user_id, "part": "profile"})]
    )
    user = User.model_validate(profile) if profile else None
    expires_at = _end(credential)
    over = credential is None or credential.get("revoked_at") or (expires_at and expires_at <= datetime.now(UTC))
    if over or user is None or not user.is_active or user.role != connection.role:
        log.info("connection closed by us", extra={"connection_id": connection.connection_id, "user_id": connection.user_id})
        close(connection.connection_id)
        store.remove(connection.connection_id)
        return False
    if expires_at and expires_at != connection.token_expires_at:
        store.token_ends(connection.connection_id, expires_at)
    return True


def _end(credential: aws.Item | None) -> datetime | None:
    expires_at = credential.get("expires_at") if credential else None
    return datetime.fromisoformat(expires_at) if expires_at else None
