"""Links chats to users: the chat that sends a user's link code to the bot becomes the user's chat."""

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
    """Returns a new link code. The first chat that sends it to the bot becomes the user's chat.

    The code is shown only once.

    Raises:
        NotFound: The user does not exist.
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
    """Returns the user of a chat. None if the chat belongs to no user."""
    return users.lookup("telegram_id", chat_id)


def link(code: str, chat_id: int, now: datetime) -> str | None:
    """Links a chat to the user of a link code, and unlinks the chat's earlier user.

    Returns the user, or None if the code is void. Idempotent for the same code from the same chat.
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
    """Unlinks a user's chat. Raises NotFound if the user does not exist."""
    change.update_user(user_id, {"telegram_id": None}, by=by)


def preferences(user_id: str) -> aws.Item:
    """Returns a user's settings as stored, with the choice of notifications.

    Raises NotFound if the user does not exist.
    """
    users.user(user_id)
    return aws.get("users", users.key(user_id, "settings")) or {}
