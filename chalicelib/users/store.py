"""A user's items: profile, settings, directory, and the pointers from unique fields to the user."""

from typing import Any

from chalicelib import aws
from chalicelib.errors import NotFound
from chalicelib.users.models import Directory, Settings, User, UserContext, user_context_from_items

LISTED = "user"
"""The partition of the index that lists every profile."""
UNIQUE = ("user_uuid", "telegram_id", "referral_code")
"""The fields that identify a user and are therefore unique."""


def key(user_id: str, part: str) -> dict[str, str]:
    """Returns the key of one part of a user."""
    return {"user_id": user_id, "part": part}


def user(user_id: str) -> User:
    """Returns a user's profile. Raises NotFound if the user does not exist."""
    item = aws.get("users", key(user_id, "profile"))
    if item is None:
        raise NotFound("user_not_found")
    return User.model_validate(item)


def settings(user_id: str) -> Settings:
    """Returns a user's settings. Raises NotFound if the user does not exist."""
    return load_user_context(user_id).settings


def directory(user_id: str) -> Directory:
    """Returns a user's accounts by name. Empty if the user does not exist."""
    return Directory.model_validate(aws.get("users", key(user_id, "directory")) or {})


def load_user_context(user_id: str) -> UserContext:
    """Returns a user with settings and accounts. Raises NotFound if the user does not exist."""
    found = user_context_from_items(
        *aws.get_many([("users", key(user_id, part)) for part in ("profile", "settings", "directory")])
    )
    if found is None:
        raise NotFound("user_not_found")
    return found


def lookup(field: str, value: Any) -> str | None:
    """Returns the id of the user with this `user_uuid`, `telegram_id` or `referral_code`, or None."""
    item = aws.get("users", _pointer(field, value))
    return str(item["owner"]) if item else None


def claim_write(field: str, value: Any, user_id: str) -> aws.Write:
    """Returns the write that claims a unique value for a user. Its condition fails if the value is taken."""
    return aws.put_write(
        "users", _pointer(field, value) | {"owner": user_id}, "attribute_not_exists(user_id)"
    )


def release_write(field: str, value: Any) -> aws.Write:
    """Returns the write that releases a value of a unique field."""
    return aws.delete_write("users", _pointer(field, value))


def _pointer(field: str, value: Any) -> dict[str, str]:
    return key(f"{field}#{value}", "lookup")
