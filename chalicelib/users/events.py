"""Events about users: the admin seed's `user.created`, and the changes after it."""

from datetime import datetime
from typing import Any

from chalicelib import aws
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.users.models import User, shown_id


def created_write(user: User, at: datetime) -> aws.Write:
    """Returns the write of `user.created`, with exactly the fields of the admin seed."""
    payload = {
        "user_id": shown_id(user.user_id),
        "telegram_id": user.telegram_id,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "referral_code": user.referral_code,
        "referred_by_id": shown_id(user.referred_by_id),
    }
    return _write("user.created", user.user_id, payload, 1, at)


def changed_write(type_: str, user_id: str, payload: dict[str, Any], version: int, at: datetime) -> aws.Write:
    """Returns the write of an event with the changed fields and their new values.

    `user.updated`, `user.activated`, `user.deactivated` or `user.settings_updated`.
    """
    return _write(type_, user_id, {"user_id": shown_id(user_id), **payload}, version, at)


def _write(type_: str, user_id: str, payload: dict[str, Any], version: int, at: datetime) -> aws.Write:
    return outbox.event_write(
        Event(
            event_id=event_id(type_, user_id, str(version)),
            type=type_,
            payload=payload,
            entity=f"user#{user_id}",
            user_id=user_id,
            created_at=at,
        )
    )
