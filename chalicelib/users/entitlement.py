"""Permissions to read streams, checked at the time of sending.

API, WebSocket, resume, connect tickets, Telegram and webhooks share this check.
"""

from collections.abc import Iterable
from datetime import datetime
from threading import Lock
from typing import Any

from chalicelib import aws
from chalicelib.events.models import ADMIN_STREAM, user_stream
from chalicelib.users.models import Role, User

CHANGES = frozenset({"user.updated", "user.deactivated", "token.revoked", "token.rotated"})
"""Events after which a user, or a connection opened with a token, may have lost permissions."""
_AT_ONCE = 100


def entitled(user: User | None, stream: str) -> bool:
    """Returns whether a user may read a stream now: the user's own, or as an admin that of all users."""
    if user is None or not user.is_active:
        return False
    return stream == user_stream(user.user_id) or (stream == ADMIN_STREAM and user.role is Role.ADMIN)


def stream_of(role: Role, user_id: str) -> str:
    """Returns the stream that a user of this role reads."""
    return ADMIN_STREAM if role is Role.ADMIN else user_stream(user_id)


def is_valid(credential: aws.Item | None, now: datetime) -> bool:
    """Returns whether a token is still valid: stored, not revoked, not expired."""
    if credential is None or credential.get("revoked_at"):
        return False
    expires_at = credential.get("expires_at")
    return not expires_at or datetime.fromisoformat(expires_at) > now


class Owners:
    """The users concerned by a batch, each read once."""

    def __init__(self) -> None:
        self._known: dict[str, User | None] = {}
        self._lock = Lock()

    def entitled(self, user_id: str, stream: str) -> bool:
        """Returns whether this user may read the stream now."""
        with self._lock:
            if user_id not in self._known:
                self._read([user_id])
            return entitled(self._known[user_id], stream)

    def prepare(self, user_ids: Iterable[str]) -> None:
        """Reads several users in as few calls as possible."""
        with self._lock:
            self._read([user_id for user_id in dict.fromkeys(user_ids) if user_id not in self._known])

    def _read(self, user_ids: list[str]) -> None:
        for start in range(0, len(user_ids), _AT_ONCE):
            part = user_ids[start : start + _AT_ONCE]
            profiles = aws.get_many([("users", {"user_id": user_id, "part": "profile"}) for user_id in part])
            self._known |= dict(zip(part, map(_user, profiles), strict=True))


def _user(profile: dict[str, Any] | None) -> User | None:
    return User.model_validate(profile) if profile else None
