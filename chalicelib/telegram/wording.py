"""Texts of events for users, and the choice of events that a user wants."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from chalicelib import messages
from chalicelib.events.models import LoggedEvent
from chalicelib.telegram.texts import catalogue, text

EVERYTHING = ("*",)
"""The notifications of a user without a choice."""


def is_wanted(type_: str, choice: Sequence[str]) -> bool:
    """Returns whether a choice of types and wildcards, such as `order.*`, contains a type."""
    return any(fnmatchcase(type_, pattern) for pattern in choice)


def of_event(event: LoggedEvent, language: str) -> str | None:
    """Returns the text of an event. None if the event does not concern its user."""
    name = _name(event.type, event.payload)
    if name is None:
        return None
    payload = event.payload
    shown = dict(payload) | {"reason": _reason(payload, language)}
    for word in ("side", "action"):
        if payload.get(word):
            shown[word] = str(payload[word]).upper()
    if name == "trade.closed" and (fees := payload.get("other_fees")):
        name = "trade.closed_fees_apart"
        shown["other_fees"] = ", ".join(f"{fee['amount'] or '?'} {fee['currency']}" for fee in fees)
    return text(name, shown, language)


def _name(type_: str, payload: Mapping[str, Any]) -> str | None:
    """Returns the name of an event's text. None if the user needs no notification."""
    if type_ == "ticket.message_added" and not payload.get("is_from_admin"):
        return None  # the user's own message
    if type_ == "transaction.created" and payload.get("type") == "payment":
        return None  # the payment's event covers it
    if (
        type_ == "ticket.status_changed"
    ):  # the messages show other changes of state, but not that a ticket is closed or reopened
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
    """Returns the reason as the end of a sentence: refusals by code, or a reason in free text."""
    refusals = payload.get("refused") or ([payload] if payload.get("code") else [])
    sentences = [
        messages.render(refusal["code"], refusal.get("values") or {}, language)
        for refusal in refusals
        if refusal.get("code")
    ]
    if payload.get("reason"):
        own = f"reason.{payload['reason']}"  # a rule's name. Any other reason is free text
        sentences.append(text(own, {}, language) if own in catalogue("en") else str(payload["reason"]))
    if payload.get("left_open"):
        sentences.append(
            text("reason.left_open", {"positions": ", ".join(map(_position, payload["left_open"]))}, language)
        )
    return f": {'; '.join(dict.fromkeys(sentences))}" if sentences else ""


def _position(row: Mapping[str, Any]) -> str:
    """Returns a position that is left open.

    `ETHUSDT short 0.3`, or the code why the account could not be read.
    """
    return f"{row['symbol']} {row['side']} {row['quantity']}" if "symbol" in row else str(row["code"])
