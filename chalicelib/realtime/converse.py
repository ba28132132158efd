"""Answers to client messages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib import strict_json
from chalicelib.errors import Forbidden, Refused
from chalicelib.events import log as event_log
from chalicelib.http import refusal
from chalicelib.realtime import entitlement, patterns, store
from chalicelib.realtime.frames import encode, frames
from chalicelib.realtime.post import close, post, send
from chalicelib.realtime.resume import HIGHEST, missed_events, resumed_message
from chalicelib.telemetry import log
from chalicelib.unknown_fields import refuse_unknown
from chalicelib.users.models import Role

_HINT_BEFORE = timedelta(minutes=10)


def answer_message(connection_id: str, body: str) -> None:
    """Answers one message of a client.

    An unknown message gets an error, and the connection stays open.
    """
    connection = store.get(connection_id)
    now = datetime.now(UTC)
    if connection is None or connection.ends_at <= now:
        close(connection_id)  # it would get no events; its client connects again
        return
    try:
        message = _message(body)
        log.info("message heard", extra={"connection_id": connection_id, "type": message["type"]})
        _ANSWERS[message["type"]](connection, message)
    except Refused as refused:
        post(connection_id, {"type": "error", **dict(refusal(refused, "en").body)})  # type: ignore[arg-type]
    if now >= connection.ends_at - _HINT_BEFORE:
        post(connection_id, {"type": "reconnect", "reason": "lifetime", "before": connection.ends_at})


def _message(body: str) -> dict[str, Any]:
    message = strict_json.read(body)
    if not isinstance(message, dict):
        raise Refused("not_a_json_object")
    if not isinstance(message.get("type"), str) or message["type"] not in _ANSWERS:
        raise Refused("invalid_choice", field="type", allowed=", ".join(_ANSWERS))
    if message["type"] in _FIELDS:
        refuse_unknown(message, ("type", *_FIELDS[message["type"]]))
    return message


def _ping(connection: store.Connection, message: dict[str, Any]) -> None:
    """Answers a ping.

    With `after`, the client's last sequence, the answer has the stream's position, so that the client notices
    missing events.
    """
    position = {"last": event_log.last(connection.stream)} if "after" in message else {}
    post(connection.connection_id, {"type": "pong", **position})


def _register(connection: store.Connection, message: dict[str, Any]) -> None:
    """Registers a connection. A user token registers only as its own `user_uuid`."""
    user_uuid = message.get("user_uuid")
    if not isinstance(user_uuid, str) or not user_uuid:
        raise Refused("missing_field", field="user_uuid")
    if len(user_uuid) > _LONGEST_UUID:
        raise Refused("too_long", field="user_uuid", limit=_LONGEST_UUID)
    if connection.role != Role.ADMIN and user_uuid != connection.user_uuid:
        raise Forbidden("not_your_uuid", field="user_uuid")
    store.register(connection.connection_id, user_uuid)
    post(connection.connection_id, {"type": "registered", "user_uuid": user_uuid})


def _unregister(connection: store.Connection, _message: dict[str, Any]) -> None:
    store.register(connection.connection_id, None)
    post(connection.connection_id, {"type": "unregistered"})


def _subscribe(connection: store.Connection, message: dict[str, Any]) -> None:
    """Replaces the connection's subscriptions, so a repeat after a reconnect changes nothing."""
    types = _types(message)
    batch = message.get("batch", connection.batch)
    if not isinstance(batch, bool):
        raise Refused("invalid_choice", field="batch", allowed="true, false")
    _hear_only(connection, types if types is not None else connection.types, batch=batch)


def _unsubscribe(connection: store.Connection, message: dict[str, Any]) -> None:
    """Removes subscriptions. Without `types`, restores those of a new connection."""
    types = _types(message)
    left = (
        (patterns.EVERYTHING,)
        if types is None
        else tuple(pattern for pattern in connection.types if pattern not in types)
    )
    _hear_only(connection, left, batch=connection.batch)


def _hear_only(connection: store.Connection, types: tuple[str, ...], *, batch: bool) -> None:
    store.subscribe(connection.connection_id, types, batch=batch)
    post(connection.connection_id, {"type": "subscribed", "types": types, "batch": batch})


def _types(message: dict[str, Any]) -> tuple[str, ...] | None:
    return None if message.get("types") is None else patterns.validate_patterns(message["types"])


def _resume(connection: store.Connection, message: dict[str, Any]) -> None:
    """Replays the events after `after`, or answers that it cannot."""
    after = message.get("after")
    if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after <= HIGHEST:
        raise Refused("invalid_sequence", field="after")
    if not entitlement.is_still_entitled(connection):
        raise Forbidden("user_not_active")
    found = missed_events(connection.stream, after)
    send(connection.connection_id, [*frames(connection, found.events), encode(resumed_message(found))])


_LONGEST_UUID = 100
_FIELDS = {"subscribe": ("types", "batch"), "unsubscribe": ("types",), "resume": ("after",)}
"""The fields of the messages that select events.

Other messages may have further fields: those do not change the events of a client.
"""
_ANSWERS: dict[str, Callable[[store.Connection, dict[str, Any]], None]] = {
    "ping": _ping,
    "register": _register,
    "login": _register,
    "unregister": _unregister,
    "logout": _unregister,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "resume": _resume,
}
