"""A user's items.

Profile, settings, directory, and the pointers that find a user by something else than the id.
"""

from typing import Any

from chalicelib import aws
from chalicelib.errors import NotFound
from chalicelib.users.models import Directory, Settings, User, UserContext, user_context_from_items

LISTED = "user"
"""The partition of the index that lists every profile."""
UNIQUE = ("user_uuid", "telegram_id", "referral_code")
"""The fields that find a user, and so belong to one user only."""


def key(user_id: str, part: str) -> dict[str, str]:
    """The key of one part of a user."""
    return {"user_id": user_id, "part": part}


def user(user_id: str) -> User:
    """A user's profile. Raises NotFound if there is no such user."""
    item = aws.get("users", key(user_id, "profile"))
    if item is None:
        raise NotFound("user_not_found")
    return User.model_validate(item)


def settings(user_id: str) -> Settings:
    """A user's settings. Raises NotFound if there is no such user."""
    return load_user_context(user_id).settings


def directory(user_id: str) -> Directory:
    """The accounts of a user by name; empty if there is no such user."""
    return Directory.model_validate(aws.get("users", key(user_id, "directory")) or {})


def load_user_context(user_id: str) -> UserContext:
    """A user with settings and accounts. Raises NotFound if there is no such user."""
    found = user_context_from_items(
        *aws.get_many([("users", key(user_id, part)) for part in ("profile", "settings", "directory")])
    )
    if found is None:
        raise NotFound("user_not_found")
    return found


def lookup(field: str, value: Any) -> str | None:
    """The id of the user with this `user_uuid`, `telegram_id` or `referral_code`; None if nobody has it."""
    item = aws.get("users", _pointer(field, value))
    return str(item["owner"]) if item else None


def claim_write(field: str, value: Any, user_id: str) -> aws.Write:
    """Makes a value of a unique field this user's; refused if it is somebody's already."""
    return aws.put_write(
        "users", _pointer(field, value) | {"owner": user_id}, "attribute_not_exists(user_id)"
    )


def release_write(field: str, value: Any) -> aws.Write:
    """Gives a value of a unique field back."""
    return aws.delete_write("users", _pointer(field, value))


def _pointer(field: str, value: Any) -> dict[str, str]:
    return key(f"{field}#{value}", "lookup")
