"""The bot's state, as items of the table `telegram`.

chat#{chat_id}          a chat that wrote to the bot or received a text; `blocked_at` if closed to the bot
code#{sha256}           a link code: its user, its end, and the chat that used it
update#{update_id}      a handled update
sent#{chat_id}#{id}     a message: being sent until `lease`, then sent
rate#{what}#{window}    number of uses in one window
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from chalicelib import aws
from chalicelib.users import credentials
from chalicelib.users.models import Record

_TABLE = "telegram"
_KEPT = timedelta(days=3)  # longer than the queue keeps a message and Telegram an update (24 h)
_LEASE = timedelta(seconds=90)  # longer than the function's timeout


class Chat(Record):
    """A chat.

    Attributes:
        language: The language of the person's Telegram. None if it is not supported.
        blocked_at: When the chat was closed to the bot. None if it is open.
    """

    chat_id: int
    language: str | None = None
    blocked_at: str | None = Field(default=None)

    @property
    def is_blocked(self) -> bool:
        """Whether the chat is closed to the bot. A new message from the chat opens it again."""
        return self.blocked_at is not None


class Claim(StrEnum):
    """The result of claiming a message.

    This worker sends it, it was already sent, or another worker holds the lease.
    """

    OURS = "ours"
    SENT = "sent"
    BUSY = "busy"


def chat(chat_id: int) -> Chat | None:
    """Returns a chat. None if the bot does not know it."""
    item = aws.get(_TABLE, _key("chat", chat_id))
    return Chat.model_validate(item) if item else None


def note_chat(chat_id: int, language: str | None) -> None:
    """Stores a chat that wrote to the bot. Opens the chat again if it was closed."""
    aws.write(aws.put_write(_TABLE, _key("chat", chat_id) | {"chat_id": chat_id, "language": language}))


def ensure_chat(chat_id: int) -> None:
    """Stores a chat that will receive a text. No-op if it is known."""
    aws.write(aws.update_write(_TABLE, _key("chat", chat_id), "SET chat_id = :chat", chat=chat_id))


def mark_blocked(chat_id: int, now: datetime) -> None:
    """Marks a chat as closed to the bot."""
    aws.write(
        aws.update_write(
            _TABLE,
            _key("chat", chat_id),
            "SET chat_id = :chat, blocked_at = :now",
            chat=chat_id,
            now=now.isoformat(),
        )
    )


def code_write(code: str, user_id: str, expires_at: datetime) -> aws.Write:
    """Returns the write that stores the hash of a link code."""
    item = _key("code", credentials.digest(code)) | {"user_id": user_id, "expires_at": expires_at.isoformat()}
    return aws.put_write(_TABLE, item | _forget(expires_at))


def use_code(code: str, chat_id: int, now: datetime) -> str | None:
    """Uses a link code for a chat and returns the code's user.

    None if the code does not exist, has expired, or was used by another chat.
    """
    key = _key("code", credentials.digest(code))
    unused = "expires_at > :now AND (attribute_not_exists(used_by) OR used_by = :chat)"
    try:
        aws.write(
            aws.update_write(_TABLE, key, "SET used_by = :chat", unused, chat=chat_id, now=now.isoformat())
        )
    except aws.WriteRefused:
        return None
    item = aws.get(_TABLE, key)
    return str(item["user_id"]) if item else None


def is_handled(update_id: int) -> bool:
    """Returns whether an update was handled."""
    return aws.get(_TABLE, _key("update", update_id)) is not None


def set_handled(update_id: int, now: datetime) -> None:
    """Marks an update as handled."""
    aws.write(aws.put_write(_TABLE, _key("update", update_id) | _forget(now)))


def claim_message(chat_id: int, message_id: str, now: datetime) -> Claim:
    """Claims a message for sending, with a lease."""
    lease = (now + _LEASE).isoformat()
    free = "attribute_not_exists(#item) OR lease < :now"
    key = _key("sent", chat_id, message_id)
    try:
        aws.write(
            aws.update_write(
                _TABLE,
                key,
                "SET lease = :lease, forget_at = :then",
                free,
                lease=lease,
                now=now.isoformat(),
                then=_then(now),
            )
        )
    except aws.WriteRefused as refused:
        return Claim.BUSY if "lease" in (refused.failed[0] or {}) else Claim.SENT
    return Claim.OURS


def set_sent(chat_id: int, message_id: str) -> None:
    """Marks a message as sent, or as permanently undeliverable."""
    aws.write(aws.update_write(_TABLE, _key("sent", chat_id, message_id), "REMOVE lease"))


def release(chat_id: int, message_id: str) -> None:
    """Releases a claim: the message was not sent."""
    aws.write(aws.delete_write(_TABLE, _key("sent", chat_id, message_id)))


def count_use(what: str, most: int, window: timedelta, now: datetime) -> bool:
    """Counts one use in the current window. False if `most` uses have been counted already."""
    key = _key("rate", what, int(now.timestamp() // window.total_seconds()))
    below = "attribute_not_exists(#count) OR #count < :most"
    try:
        aws.write(
            aws.update_write(
                _TABLE,
                key,
                "SET forget_at = :then ADD #count :one",
                below,
                one=1,
                most=most,
                then=_then(now + window),
            )
        )
    except aws.WriteRefused:
        return False
    return True


def _key(*parts: object) -> dict[str, str]:
    return {"item": "#".join(map(str, parts))}


def _then(now: datetime) -> int:
    return int((now + _KEPT).timestamp())


def _forget(now: datetime) -> dict[str, int]:
    return {"forget_at": _then(now)}
