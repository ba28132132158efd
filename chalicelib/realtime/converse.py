"""What clients say, and what they are answered."""

import json
from typing import Any

from chalicelib.errors import Refused
from chalicelib.events import log as event_log
from chalicelib.http import refusal
from chalicelib.realtime import store
from chalicelib.realtime.post import post
from chalicelib.realtime.push import as_message
from chalicelib.telemetry import log
from chalicelib.users.models import Role

RESUME_LIMIT = 500
"""So many missed events are replayed; a client that missed more has to read its state anew."""

_KINDS = ("ping", "register", "login", "unregister", "logout", "resume")


def hear(connection_id: str, body: str) -> None:
    """Answers one message of a client. A message nobody understands is answered by an error, and the connection stays open."""
    connection = store.get(connection_id)
    if connection is None:
        return
    try:
        message = _message(body)
        log.info("message heard", extra={"connection_id": connection_id, "type": message["type"]})
        _ANSWERS[message["type"]](connection, message)
    except Refused as refused:
        post(connection_id, {"type": "error", **dict(refusal(refused, "en").body)})  # type: ignore[arg-type]


def _message(body: str) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("broken_body") from None
    if not isinstance(message, dict):
        raise Refused("not_an_object")
    if message.get("type") not in _KINDS:
        raise Refused("invalid_choice", field="type", allowed=", ".join(_KINDS))
    return message


def _ping(connection: store.Connection, _message: dict[str, Any]) -> None:
    post(connection.connection_id, {"type": "pong"})


def _register(connection: store.Connection, message: dict[str, Any]) -> None:
    """A user token registers as its own `user_uuid` only."""
    user_uuid = message.get("user_uuid")
    if not isinstance(user_uuid, str) or not user_uuid:
        raise Refused("missing_field", field="user_uuid")
    if connection.role != Role.ADMIN and user_uuid != connection.user_uuid:
        raise Refused("not_your_uuid", field="user_uuid")
    store.register(connection.connection_id, user_uuid)
    post(connection.connection_id, {"type": "registered", "user_uuid": user_uuid})


def _unregister(connection: store.Connection, _message: dict[str, Any]) -> None:
    store.register(connection.connection_id, None)
    post(connection.connection_id, {"type": "unregistered"})


def _resume(connection: store.Connection, message: dict[str, Any]) -> None:
    """Replays what followed `after`, or says that it cannot: too much, too long ago, or a sequence this stream never had."""
    after = message.get("after")
    if not isinstance(after, int) or isinstance(after, bool) or after < 0:
        raise Refused("invalid_number", field="after")
    last = event_log.last(connection.stream)
    missed = list(event_log.after(connection.stream, after, RESUME_LIMIT + 1)) if after < last else []
    complete = len(missed) <= RESUME_LIMIT and [event.sequence for event in missed[:1]] in ([], [after + 1])
    recovered = after <= last and complete and (bool(missed) or after == last)
    for event in missed if recovered else []:
        post(connection.connection_id, as_message(event))
    last = missed[-1].sequence if missed else last
    post(connection.connection_id, {"type": "resumed", "recovered": recovered, "last": last})


_ANSWERS = {
    "ping": _ping,
    "register": _register,
    "login": _register,
    "unregister": _unregister,
    "logout": _unregister,
    "resume": _resume,
}
