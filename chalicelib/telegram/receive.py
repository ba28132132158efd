"""Handles the bot's updates, posted by Telegram. Replies pass the queue.

Telegram repeats an update until the answer is 200. Commands are idempotent, and a reply carries the update's
number. An update is therefore marked as handled only after all its effects.
"""

import hmac
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chalicelib import inputs, secret_settings
from chalicelib.errors import Unauthorized
from chalicelib.http import Answer, Request
from chalicelib.messages import LANGUAGES
from chalicelib.telegram import commands, queue, store
from chalicelib.telemetry import log

_HEADER = "x-telegram-bot-api-secret-token"
_Id = Annotated[int, Field(ge=-(2**53), le=2**53)]
# Replies to polls with formatted options are nested deeper than our own bodies. Telegram repeats an update
# that is refused
_DEPTH = 32
_OK = Answer(200, {"status": "ok"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _Person(_Part):
    id: _Id
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    language_code: str | None = None

    @property
    def language(self) -> str | None:
        """The person's language. None if it is not supported."""
        code = (self.language_code or "").lower().partition("-")[0]
        return code if code in LANGUAGES else None


class _Chat(_Part):
    id: _Id
    type: str


class _Message(_Part):
    chat: _Chat
    sender: _Person | None = Field(default=None, alias="from")
    text: str | None = None


class _Member(_Part):
    status: str


class _Membership(_Part):
    chat: _Chat
    new_chat_member: _Member


class Update(_Part):
    """The relevant part of an update (https://core.telegram.org/bots/api#update).

    A message, or a notice that a person blocked the bot.
    """

    update_id: _Id
    message: _Message | None = None
    my_chat_member: _Membership | None = None


def receive(request: Request) -> Answer:
    """Handles an update: `POST /telegram/webhook`.

    Raises:
        Unauthorized: The request lacks the secret that was set with the webhook.
        Refused: The body is no update.
    """
    _check_secret(request.headers.get(_HEADER))
    update = inputs.body(request, Update, _DEPTH)
    now = datetime.now(UTC)
    if store.is_handled(update.update_id):
        log.info("update repeated", extra={"update_id": update.update_id})
        return _OK
    if update.my_chat_member and update.my_chat_member.new_chat_member.status == "kicked":
        store.mark_blocked(update.my_chat_member.chat.id, now)
    if update.message:
        _answer(update.update_id, update.message, now)
    store.set_handled(update.update_id, now)
    log.info("update handled", extra={"update_id": update.update_id})
    return _OK


def _check_secret(presented: str | None) -> None:
    expected = secret_settings.secret("TELEGRAM_WEBHOOK_SECRET")
    if not presented:
        raise Unauthorized("token_missing")
    if not expected or not hmac.compare_digest(presented.encode(), expected.encode()):
        raise Unauthorized("token_wrong")


def _answer(update_id: int, message: _Message, now: datetime) -> None:
    sender, chat = message.sender, message.chat
    if sender is None or not message.text:
        return
    private = chat.type == "private"
    if private:
        store.note_chat(chat.id, sender.language)
    names = {
        name: (value or "")[:64] or None
        for name, value in sender.model_dump(include={"username", "first_name", "last_name"}).items()
    }
    command = commands.Command(
        update_id, chat.id, message.text, private=private, language=sender.language, names=names
    )
    reply = commands.answer(command, now)
    if reply is not None:
        queue.send(
            queue.Message(
                chat_id=chat.id, message_id=f"update:{update_id}", user_id=reply.user_id, text=reply.text
            )
        )
