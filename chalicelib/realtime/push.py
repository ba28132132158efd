"""From the realtime queue to the clients."""

from typing import Any

import simplejson

from chalicelib.errors import Retryable
from chalicelib.events.models import LoggedEvent
from chalicelib.realtime import store
from chalicelib.realtime.post import post, post_to_all
from chalicelib.telemetry import log

WELCOME = {"type": "connection", "status": "connected", "message": "WebSocket connection established"}


def push(body: str) -> None:
    """Pushes one message of the realtime queue.

    Raises:
        Retryable: The connection to welcome is not open yet.
    """
    message = simplejson.loads(body)
    if connection_id := message.get("welcome"):
        _welcome(connection_id)
        return
    event = LoggedEvent.model_validate(message)
    connections = store.hearing(event.stream)
    gone = post_to_all(connections, as_message(event))
    for connection_id in gone:
        store.remove(connection_id)
    log.info("event pushed", extra={"type": event.type, "sequence": event.sequence, "connections": len(connections), "gone": len(gone)})


def as_message(event: LoggedEvent) -> dict[str, Any]:
    """The event as clients see it."""
    return {"type": event.type, "payload": event.payload, "timestamp": event.timestamp.isoformat(), "sequence": event.sequence}


def _welcome(connection_id: str) -> None:
    if post(connection_id, WELCOME):
        log.info("connection welcomed", extra={"connection_id": connection_id})
        return
    if store.get(connection_id):
        raise Retryable("the connection is not open yet")
