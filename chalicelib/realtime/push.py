"""From the realtime queue to the clients."""

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import simplejson

from chalicelib.errors import Retryable
from chalicelib.events.models import LoggedEvent
from chalicelib.realtime import patterns, store
from chalicelib.realtime.frames import encode, frames
from chalicelib.realtime.post import fan_out, post
from chalicelib.telemetry import log

WELCOME = {"type": "connection", "status": "connected", "message": "WebSocket connection established"}
_OPENING_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # how long to wait between tries for a connection that is still being opened


def push(bodies: Sequence[str]) -> None:
    """Pushes messages of one group of the realtime queue, in their order.

    Raises:
        Retryable: The connection to welcome is not open yet.
    """
    events: dict[str, list[LoggedEvent]] = defaultdict(list)
    prices: dict[tuple[str, str | None], dict[str, Any]] = {}
    for message in (simplejson.loads(body, use_decimal=True) for body in bodies):
        if connection_id := message.get("welcome"):
            _welcome(connection_id)
        elif price := message.get("price"):
            prices[price["symbol"], price["user_id"]] = price  # the newest of each is enough
        else:
            event = LoggedEvent.model_validate(message)
            events[event.stream].append(event)
    for stream, told in events.items():
        _events(stream, told)
    if prices:
        _prices(list(prices.values()))


def _events(stream: str, events: Sequence[LoggedEvent]) -> None:
    """Sends events of one stream to those who hear it, whom one look into the table gives for all of them."""
    connections = store.hearing(stream, datetime.now(UTC))
    made: dict[tuple[tuple[str, ...], bool], list[bytes]] = {}
    for connection in connections:
        taste = (connection.types, connection.batch)
        if taste not in made:  # most connections want the same: their messages are made once
            made[taste] = frames(connection, events)
    gone = fan_out([(connection.connection_id, made[connection.types, connection.batch]) for connection in connections])
    _forget(gone)
    log.info(
        "events pushed",
        extra={
            "types": sorted({event.type for event in events}),
            "last": events[-1].sequence,
            "connections": len(connections),
            "gone": len(gone),
        },
    )


def _prices(prices: Sequence[dict[str, Any]]) -> None:
    connections = store.hearing_prices(datetime.now(UTC))
    messages = [
        (connection.connection_id, [_price(price) for price in prices if store.may_see_price(connection, price["user_id"])])
        for connection in connections
    ]
    _forget(fan_out(messages))
    log.info("prices pushed", extra={"symbols": sorted({price["symbol"] for price in prices}), "connections": len(connections)})


def _price(price: dict[str, Any]) -> bytes:
    payload = {"symbol": price["symbol"], "price": price["price"]}
    return encode({"type": patterns.PRICE, "payload": payload, "timestamp": price["timestamp"]})


def _forget(gone: Sequence[str]) -> None:
    for connection_id in gone:
        store.remove(connection_id)


def _welcome(connection_id: str) -> None:
    """Says hello. Until `$connect` has been answered the connection counts as gone, which takes a moment."""
    for pause in (*_OPENING_S, None):
        if post(connection_id, WELCOME):
            log.info("connection welcomed", extra={"connection_id": connection_id})
            return
        if pause is None or store.get(connection_id) is None:
            break
        time.sleep(pause)
    if store.get(connection_id):
        raise Retryable("the connection is not open yet")
