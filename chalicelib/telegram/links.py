"""Which chat is whose: a user gets a link code, and the chat that sends it to the bot becomes theirs."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from chalicelib import aws, config
from chalicelib.audit import record
from chalicelib.telegram import store
from chalicelib.users import change
from chalicelib.users import store as users

CODE_LASTS = timedelta(minutes=15)


def offer(user_id: str, now: datetime, *, by: str) -> dict[str, Any]:
    """A link code, shown this once; whoever sends it to the bot first is this user to the bot.

    Raises:
        NotFound: There is no such user.
    """
    users.user(user_id)
    code = secrets.token_urlsafe(18)
    expires_at = now + CODE_LASTS
    change_ = record.Change(
        by, "telegram.link_offered", f"user#{user_id}", user_id, now, after={"expires_at": expires_at}
    )
    aws.transact([store.code_write(code, user_id, expires_at), record.write(change_)])
    bot = config.setting("TELEGRAM_BOT_NAME").lstrip("@")
    url = f"https://t.me/{bot}?start={code}" if bot else None
    return {"code": code, "command": f"/start {code}", "url": url, "expires_at": expires_at}


def owner(chat_id: int) -> str | None:
    """The user a chat belongs to; None if it is nobody's."""
    return users.lookup("telegram_id", chat_id)


def link(code: str, chat_id: int, now: datetime) -> str | None:
    """Gives a chat to the user a code was made for, taking it from whoever had it.

    Returns the user, None if the code is void.

    Sending the same code from the same chat again does the same again.
    """
    user_id = store.use_code(code, chat_id, now)
    if user_id is None or not users.user(user_id).is_active:
        return None
    before = owner(chat_id)
    if before and before != user_id:
        unlink(before, by=user_id)
    change.update_user(user_id, {"telegram_id": chat_id}, by=user_id)
    return user_id


def unlink(user_id: str, *, by: str) -> None:
    """Takes a user's chat away. Raises NotFound if there is no such user."""
    change.update_user(user_id, {"telegram_id": None}, by=by)


def preferences(user_id: str) -> aws.Item:
    """A user's settings as stored, with what they chose to be told.

    Raises NotFound if there is no such user.
    """
    users.user(user_id)
    return aws.get("users", users.key(user_id, "settings")) or {}
