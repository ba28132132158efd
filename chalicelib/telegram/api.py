"""The part of the Bot API (https://core.telegram.org/bots/api) in use: sending a text to a chat.

Every URL contains the bot's token, and errors of `requests` contain the URL. No such error leaves this
module.
"""

import logging
from functools import cache

import requests

from chalicelib import config, secret_settings
from chalicelib.errors import Misconfigured, Retryable, TradehookError

TIMEOUT_S = 10
LONGEST = 4096
"""Characters of a message."""

logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its warnings and debug lines contain the URL


class Limited(Retryable):
    """Telegram's rate limit is reached.

    Args:
        retry_after: Seconds until Telegram accepts the next message to this chat.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Telegram rate limit reached, retry after {retry_after} s")
        self.retry_after = retry_after


class Blocked(TradehookError):
    """The chat is closed to the bot: blocked, never opened, or it does not exist."""


class Undeliverable(TradehookError):
    """Telegram will never accept this message."""


def configured() -> bool:
    """Returns whether this deployment has a bot."""
    return secret_settings.is_set("TELEGRAM_BOT_TOKEN")


def send(chat_id: int, text: str) -> None:
    """Sends a plain text, truncated if it is too long.

    Raises:
        Limited: The rate limit is reached.
        Retryable: Telegram is down or slow. After a timeout, the message may have been sent.
        Blocked: The chat is closed to the bot.
        Undeliverable: Telegram refuses this message permanently.
        Misconfigured: Telegram does not know the token.
    """
    shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    answer = _post(
        "sendMessage", {"chat_id": chat_id, "text": shown, "link_preview_options": {"is_disabled": True}}
    )
    if answer.status_code == requests.codes.ok:
        return
    description, retry_after = _error_details(answer)
    match answer.status_code:
        case 429:
            raise Limited(retry_after)
        case 403:
            raise Blocked(description)
        case 400 if "chat not found" in description.lower():
            raise Blocked(description)
        case 401 | 404:
            raise Misconfigured("Telegram rejects the bot's token")
        case status if 400 <= status < 500:  # noqa: PLR2004 - the client errors of HTTP
            raise Undeliverable(f"{status} {description}")
        case status:
            raise Retryable(f"Telegram answered {status}")


def _post(method: str, body: dict[str, object]) -> requests.Response:
    server = config.setting("TELEGRAM_API", "https://api.telegram.org")
    url = f"{server}/bot{secret_settings.secret('TELEGRAM_BOT_TOKEN')}/{method}"
    try:
        return _session().post(url, json=body, timeout=TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        fault = type(error).__name__
    # Raised outside `except`, so that the error with the URL is not its context.
    raise Retryable(f"Telegram not reachable: {fault}")


def _error_details(answer: requests.Response) -> tuple[str, int]:
    """Returns Telegram's description and the pause it asks for, in seconds (1 if it gives none)."""
    try:
        body = answer.json()
        description = str(body.get("description", ""))
        retry_after = int(body.get("parameters", {}).get("retry_after", 1))
    except (ValueError, AttributeError, TypeError):
        return "", 1
    return description[:200], max(retry_after, 1)


@cache
def _session() -> requests.Session:
    return requests.Session()
