"""What the bot remembers, as items of the table `telegram`.

chat#{chat_id}          a chat that spoke to the bot or got something from it; `blocked_at` once it is closed to the bot
code#{sha256}           a link code: whose, until when, and which chat used it
update#{update_id}      an update that was handled
sent#{chat_id}#{id}     a message: being sent until `lease`, then sent
rate#{what}#{stretch}   how often something was done in a stretch of time
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from chalicelib import aws
from chalicelib.users import credentials
from chalicelib.users.models import Record

_TABLE = "telegram"
_KEPT = timedelta(days=3)  # longer than the queue keeps a message, and than Telegram keeps an update (24 h)
_LEASE = timedelta(seconds=90)  # longer than the function runs


class Chat(Record):
    """A chat.

    Attributes:
        language: Of the person's Telegram, where it is one of ours.
        is_blocked: Closed to the bot; nothing is sent until somebody writes from it again.
    """

    chat_id: int
    language: str | None = None
    blocked_at: str | None = Field(default=None)

    @property
    def is_blocked(self) -> bool:
        """Closed to the bot."""
        return self.blocked_at is not None


class Claim(StrEnum):
    """What became of the wish to send a message.

    It is ours to send, was sent already, or somebody is at it.
    """

    OURS = "ours"
    SENT = "sent"
    BUSY = "busy"


def chat(chat_id: int) -> Chat | None:
    """A chat; None if the bot does not know it."""
    item = aws.get(_TABLE, _key("chat", chat_id))
    return Chat.model_validate(item) if item else None


def note_chat(chat_id: int, language: str | None) -> None:
    """Notes that somebody wrote from a chat, which opens it to the bot again."""
    aws.write(aws.put_write(_TABLE, _key("chat", chat_id) | {"chat_id": chat_id, "language": language}))


def ensure_chat(chat_id: int) -> None:
    """Notes a chat that something is sent to, if it is new."""
    aws.write(aws.update_write(_TABLE, _key("chat", chat_id), "SET chat_id = :chat", chat=chat_id))


def mark_blocked(chat_id: int, now: datetime) -> None:
    """Notes that a chat is closed to the bot."""
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
    """The write that stores a link code, as its hash."""
    item = _key("code", credentials.digest(code)) | {"user_id": user_id, "expires_at": expires_at.isoformat()}
    return aws.put_write(_TABLE, item | _forget(expires_at))


def use_code(code: str, chat_id: int, now: datetime) -> str | None:
    """Uses a link code up for a chat.

    Returns whose it is, None if there is none, or it is over, or another chat used it.
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
    """Whether an update was handled."""
    return aws.get(_TABLE, _key("update", update_id)) is not None


def set_handled(update_id: int, now: datetime) -> None:
    """Notes that an update was handled."""
    aws.write(aws.put_write(_TABLE, _key("update", update_id) | _forget(now)))


def claim_message(chat_id: int, message_id: str, now: datetime) -> Claim:
    """Claims the sending of a message."""
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
    """Notes that a message was sent, or never will be."""
    aws.write(aws.update_write(_TABLE, _key("sent", chat_id, message_id), "REMOVE lease"))


def release(chat_id: int, message_id: str) -> None:
    """Gives a claim back: the message was not sent."""
    aws.write(aws.delete_write(_TABLE, _key("sent", chat_id, message_id)))


def count_use(what: str, most: int, window: timedelta, now: datetime) -> bool:
    """Counts one more of something; False if there were `most` of it in this stretch of time already."""
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
