"""Sends messages of the queue to their chats, each once. SQS redelivers until Telegram has accepted it."""

from datetime import UTC, datetime
from typing import Any

import simplejson

from chalicelib import aws, config
from chalicelib.errors import NotFound, Retryable
from chalicelib.events.models import ADMIN_STREAM, LoggedEvent
from chalicelib.telegram import api, store, wording
from chalicelib.telegram.queue import Message
from chalicelib.telegram.store import Claim
from chalicelib.telegram.texts import text
from chalicelib.telemetry import log
from chalicelib.users import store as users
from chalicelib.users import xc_codes
from chalicelib.users.entitlement import entitled
from chalicelib.users.models import User

_TUTORIAL = "https://www.tradingview.com/support/solutions/43000529348"


def notify(body: str) -> None:
    """Sends the text of one queue message, if its user wants it.

    Raises:
        Retryable: Telegram has not accepted the message, or it is not certain.
    """
    message = simplejson.loads(body)
    if "chat_id" in message:
        _send_message(Message.model_validate(message))
    else:
        _notify_user(LoggedEvent.model_validate(message))


def connection_string(code: str) -> str:
    """Returns the connection string that a sender of `/xc` signals pastes into an alert (seed 000)."""
    order = "command=sell exchange=binance coinmarket=BTCUSDT amount=0.05"
    return f"code={code} strategy_id=MyStrategy demo=YES {order}"


def _notify_user(event: LoggedEvent) -> None:
    if event.stream == ADMIN_STREAM or event.user_id is None:
        return
    profile, settings = aws.get_many(
        [("users", {"user_id": event.user_id, "part": part}) for part in ("profile", "settings")]
    )
    if profile is None or not entitled(User.model_validate(profile), event.stream):
        return
    chat_id = int(profile.get("telegram_id") or 0)
    if not chat_id or not wording.is_wanted(
        event.type, (settings or {}).get("telegram_events", wording.EVERYTHING)
    ):
        return
    chat = store.chat(chat_id)
    message_text = wording.of_event(event, _language(settings, chat))
    if message_text is not None:
        _send_once(chat_id, chat, event.event_id, message_text, event.user_id, event.signal_id)


def _send_message(message: Message) -> None:
    chat = store.chat(message.chat_id)
    if message.text is not None:
        _send_once(message.chat_id, chat, message.message_id, message.text, message.user_id)
        return
    assert message.user_id is not None
    try:
        if not users.user(message.user_id).is_active:
            log.info("user not active, no code handed out", extra={"user_id": message.user_id})
            return
        code = xc_codes.get_or_create(message.user_id, by="telegram")
    except NotFound:
        log.warning("user not found, no code handed out", extra={"user_id": message.user_id})
        return
    values = {
        "connection": connection_string(code),
        "url": f"{config.setting('PUBLIC_URL')}/xc",
        "tutorial": config.setting("TELEGRAM_TUTORIAL_URL", _TUTORIAL),
    }
    settings = aws.get("users", {"user_id": message.user_id, "part": "settings"})
    _send_once(
        message.chat_id,
        chat,
        message.message_id,
        text("hand_out", values, _language(settings, chat)),
        message.user_id,
    )


def _send_once(
    chat_id: int,
    chat: store.Chat | None,
    message_id: str,
    message_text: str,
    user_id: str | None,
    signal_id: str | None = None,
) -> None:
    """Sends a text, unless it was sent before or the chat is closed to the bot."""
    who = {"message_id": message_id, "user_id": user_id, "signal_id": signal_id}
    if chat and chat.is_blocked:
        log.info("chat closed, message dropped", extra=who)
        return
    claim = store.claim_message(chat_id, message_id, datetime.now(UTC))
    if claim is Claim.BUSY:
        raise Retryable("send lease held by another worker")
    if claim is Claim.SENT:
        log.info("message already sent", extra=who)
        return
    try:
        api.send(chat_id, message_text)
    except api.Blocked as blocked:
        store.mark_blocked(chat_id, datetime.now(UTC))
        log.info("chat closed to the bot, message dropped", extra=who | {"reason": str(blocked)})
    except api.Undeliverable as refused:
        log.error("message undeliverable, dropped", extra=who | {"reason": str(refused)})
    except Exception:
        store.release(chat_id, message_id)
        raise
    else:
        log.info("message sent", extra=who)
    store.set_sent(chat_id, message_id)


def _language(settings: dict[str, Any] | None, chat: store.Chat | None) -> str:
    """Returns the user's chosen language, or that of the user's Telegram, or English."""
    return (settings or {}).get("language") or (chat.language if chat else None) or "en"
