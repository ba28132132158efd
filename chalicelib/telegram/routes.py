"""The bot's webhook, and a user's Telegram settings: the linked chat, notifications, language."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from chalicelib import inputs
from chalicelib.audit import record
from chalicelib.http import Answer, Request, Route
from chalicelib.inputs import Caseless, Input, Version
from chalicelib.telegram import links, wording
from chalicelib.telegram.receive import receive
from chalicelib.users import store as users
from chalicelib.users.access import Caller, caller
from chalicelib.users.models import shown_id
from chalicelib.versions import Edit, answering_conflicts, changed_fields, edit

_UNSTORED = {"Cache-Control": "no-store"}
EventPattern = Annotated[str, Caseless, Field(min_length=1, max_length=64, pattern=r"^[a-z_.*]+$")]


class Preferences(Input):
    """The body of `PATCH /users/{user_id}/telegram`.

    Event types or wildcards such as `order.*`, and a language. Null restores the default.
    """

    telegram_events: Annotated[tuple[EventPattern, ...], Field(max_length=50)] | None = None
    language: Annotated[Literal["en", "ko", "zh", "ar", "ru"], Caseless] | None = None
    version: Version | None = None


def create_link(request: Request) -> Answer:
    """Creates a one-time code that links a chat to the user. The user sends `/start CODE` to the bot."""
    who, user_id = _target(request)
    return Answer(
        201,
        {"user_id": shown_id(user_id), **links.offer(user_id, datetime.now(UTC), by=who.user_id)},
        _UNSTORED,
    )


def delete_link(request: Request) -> Answer:
    """Unlinks the user's chat."""
    who, user_id = _target(request)
    links.unlink(user_id, by=who.user_id)
    return Answer(200, _shown(user_id))


def get_telegram(request: Request) -> Answer:
    """Returns the user's chat, notifications and language."""
    _, user_id = _target(request)
    return Answer(200, _shown(user_id))


@answering_conflicts
def change_telegram(request: Request) -> Answer:
    """Chooses the user's notifications and their language."""
    who, user_id = _target(request)
    asked = inputs.body(request, Preferences)
    users.user(user_id)
    given = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in inputs.set_fields(asked, "version").items()
    }
    now = datetime.now(UTC)

    def plan(item: dict[str, Any], _version: int) -> Edit:
        fields = {name: value for name, value in changed_fields(item, given).items() if value is not None}
        removed = [name for name, value in given.items() if value is None and item.get(name) is not None]
        old = {name: item.get(name) for name in [*fields, *removed]}
        new = fields | dict.fromkeys(removed)
        change = record.Change(
            who.user_id, "user.telegram_updated", f"user#{user_id}", user_id, now, old, new
        )
        return Edit(fields, [(record.write(change), None)], removed)

    edit("users", users.key(user_id, "settings"), asked.version, plan, "user_not_found")
    return Answer(200, _shown(user_id))


def _shown(user_id: str) -> dict[str, Any]:
    settings = links.preferences(user_id)
    return {
        "user_id": shown_id(user_id),
        "telegram_id": users.user(user_id).telegram_id,
        "telegram_events": list(settings.get("telegram_events", wording.EVERYTHING)),
        "language": settings.get("language"),
        "version": int(settings.get("version", 1)),
    }


def _target(request: Request) -> tuple[Caller, str]:
    """Returns the caller and the user in the path (`me` is the caller). Raises NotFound for other users."""
    who = caller(request)
    user_id = who.user_id if request.path["user_id"] == "me" else request.path["user_id"]
    who.require_owner(user_id)
    return who, user_id


TELEGRAM = [
    Route("POST", "/telegram/webhook", receive),
    Route("GET", "/users/{user_id}/telegram", get_telegram),
    Route("PATCH", "/users/{user_id}/telegram", change_telegram),
    Route("POST", "/users/{user_id}/telegram-link", create_link),
    Route("DELETE", "/users/{user_id}/telegram-link", delete_link),
]
