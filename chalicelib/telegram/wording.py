"""Events in a user's words, and which of them a user is told."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from chalicelib import messages
from chalicelib.events.models import LoggedEvent
from chalicelib.telegram.texts import catalogue, text

EVERYTHING = ("*",)
"""What a user is told who has chosen nothing."""


def is_wanted(type_: str, choice: Sequence[str]) -> bool:
    """Whether a choice of types and wildcards, such as `order.*`, takes a type."""
    return any(fnmatchcase(type_, pattern) for pattern in choice)


def of_event(event: LoggedEvent, language: str) -> str | None:
    """What to say of an event; None for one that is nothing to its user."""
    name = _name(event.type, event.payload)
    if name is None:
        return None
    payload = event.payload
    shown = dict(payload) | {"reason": _reason(payload, language)}
    for word in ("side", "action"):
        if payload.get(word):
            shown[word] = str(payload[word]).upper()
    return text(name, shown, language)


def _name(type_: str, payload: Mapping[str, Any]) -> str | None:
    """The text that tells of an event."""
    if type_ == "ticket.message_added" and not payload.get("is_from_admin"):
        return None  # their own
    if type_ == "transaction.created" and payload.get("type") == "payment":
        return None  # the payment has told of it
    if (
        type_ == "ticket.status_changed"
    ):  # whose turn it is shows from the messages; its end and its return do not
        reopened = "ticket.reopened" if payload.get("old_status") == "closed" else None
        return "ticket.closed" if payload.get("new_status") == "closed" else reopened
    if type_ == "signal.refused" and payload.get("webhook"):
        return "signal.not_accepted_again" if int(payload.get("count") or 1) > 1 else "signal.not_accepted"
    if payload.get("scope") == "strategy":
        type_ = type_.replace("trading.", "strategy.")
    if type_ in catalogue("en"):
        return type_
    return "order.other" if type_.startswith("order.") else None


def _reason(payload: Mapping[str, Any], language: str) -> str:
    """Why, as the end of a sentence: refusals by code, or a reason in somebody's own words."""
    refusals = payload.get("refused") or ([payload] if payload.get("code") else [])
    sentences = [
        messages.render(refusal["code"], refusal.get("values") or {}, language)
        for refusal in refusals
        if refusal.get("code")
    ]
    if payload.get("reason"):
        own = f"reason.{payload['reason']}"  # a rule's name; anything else is in somebody's own words
        sentences.append(text(own, {}, language) if own in catalogue("en") else str(payload["reason"]))
    if payload.get("left_open"):
        sentences.append(
            text("reason.left_open", {"positions": ", ".join(map(_position, payload["left_open"]))}, language)
        )
    return f": {'; '.join(dict.fromkeys(sentences))}" if sentences else ""


def _position(row: Mapping[str, Any]) -> str:
    """A position that is left open.

    `ETHUSDT short 0.3`, or the code of why the account could not be asked.
    """
    return f"{row['symbol']} {row['side']} {row['quantity']}" if "symbol" in row else str(row["code"])
