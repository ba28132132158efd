"""Hands out the connection string for `/xc` signals, only by Telegram and only to the chat itself.

Anybody may ask for any chat (seed 000). The string therefore goes to that chat only, and only a few times per
window. Telegram lets a bot write only to people who wrote to it first.
"""

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from chalicelib import aws, config
from chalicelib.accounts.starter_account import starter_account
from chalicelib.errors import Conflict, NotFound, Refused, TooMany
from chalicelib.http import Answer, Request, to_json
from chalicelib.signals.store import log_write
from chalicelib.telegram import links, queue, store
from chalicelib.users.create import create_user

PER_CHAT = 5
WINDOW = timedelta(minutes=10)
NEWCOMERS_PER_ADDRESS = 100
NEWCOMERS_WINDOW = timedelta(hours=1)
_LARGEST_ID = 2**53 - 1
_LONGEST_ID = 16


def hand_out(chat_id: object, request: Request) -> Answer:
    """`POST /xc` with only `chat_id`: sends the chat its connection string.

    Neither the answer nor the log contains the code.

    Raises:
        Refused: `chat_id` is not the id of a private chat.
        NotFound: The chat belongs to no user, and this deployment accepts only known chats.
        TooMany: The chat has reached its limit, or the sender's limit of new chats is reached.
    """
    request_id = uuid.uuid4().hex
    owner = "unknown"
    chat = None
    try:
        chat = _private_chat_id(chat_id)
        owner = links.owner(chat) or _newcomer(chat, request)
        allow(chat, request.received_at)
    except Refused as refused:
        _log(
            request,
            owner,
            request_id,
            chat,
            {"outcome": "refused", "code": refused.code, "status": refused.status},
        )
        raise
    _log(request, owner, request_id, chat, {"outcome": "accepted"})
    send(chat, owner, request_id)
    return Answer(200, {"status": "ok", "chat_id": chat, "webhook_url": f"{config.setting('PUBLIC_URL')}/xc"})


def allow(chat_id: int, now: datetime) -> None:
    """Counts a hand-out to a chat. Raises TooMany if the chat has reached its limit."""
    if not store.count_use(f"hand_out#{chat_id}", PER_CHAT, WINDOW, now):
        raise TooMany("too_many_requests", retry_after=_seconds_left(WINDOW, now))


def send(chat_id: int, user_id: str, request_id: str) -> None:
    """Queues a user's connection string for the user's chat."""
    store.ensure_chat(chat_id)
    queue.send(queue.Message(chat_id=chat_id, message_id=f"hand_out:{request_id}", user_id=user_id))


def join(chat_id: int, **profile: Any) -> str:
    """Returns the user of a chat. Creates the user if the chat belongs to none.

    A new user has demo settings and a demo account for the first signal.
    """
    try:
        return create_user(
            by="telegram", telegram_id=chat_id, account=partial(starter_account, by="telegram"), **profile
        ).user_id
    except Conflict:
        existing = links.owner(chat_id)
        if existing is None:
            raise
        return existing


def _newcomer(chat_id: int, request: Request) -> str:
    if _known_chats_only() and store.chat(chat_id) is None:
        raise NotFound("user_not_found")
    if not store.count_use(
        f"newcomers#{_network(request.source_ip)}",
        NEWCOMERS_PER_ADDRESS,
        NEWCOMERS_WINDOW,
        request.received_at,
    ):
        raise TooMany("too_many_requests", retry_after=_seconds_left(NEWCOMERS_WINDOW, request.received_at))
    return join(chat_id)


def _known_chats_only() -> bool:
    """Returns whether a chat must have written to the bot first.

    The default is false on the local stack and true elsewhere.
    """
    usual = "false" if config.setting("STAGE", "local") == "local" else "true"
    return config.setting("TELEGRAM_KNOWN_CHATS_ONLY", usual).lower() == "true"


def _network(source_ip: str) -> str:
    """Returns the network that an address is counted for: the address, or its /64 for IPv6."""
    address = ip_address(source_ip)
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else source_ip


def _private_chat_id(chat_id: object) -> int:
    """Returns the id of a private chat, a positive number.

    Groups have negative ids. A code must not go to a group.
    """
    if isinstance(chat_id, str) and chat_id.isascii() and chat_id.isdigit() and len(chat_id) <= _LONGEST_ID:
        chat_id = int(chat_id)
    if not isinstance(chat_id, int) or isinstance(chat_id, bool) or not 0 < chat_id <= _LARGEST_ID:
        raise Refused("invalid_number", field="chat_id")
    return chat_id


def _log(request: Request, owner: str, request_id: str, chat_id: int | None, outcome: dict[str, Any]) -> None:
    shown = {"route": request.route, "source_ip": request.source_ip, "body": to_json({"chat_id": chat_id})}
    aws.write(log_write(owner, request.received_at, request_id, outcome | shown))


def _seconds_left(window: timedelta, now: datetime) -> int:
    """Returns the seconds until the next window begins."""
    seconds = int(window.total_seconds())
    return seconds - int(now.astimezone(UTC).timestamp()) % seconds
