"""From the realtime queue to the clients."""

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import simplejson

from chalicelib.events.models import LoggedEvent, signal_ids
from chalicelib.realtime import entitlement, patterns, queue, store
from chalicelib.realtime.frames import encode, frames
from chalicelib.realtime.post import close, fan_out, post, send
from chalicelib.realtime.resume import missed_events, resumed_message
from chalicelib.telemetry import log

WELCOME = {"type": "connection", "status": "connected", "message": "WebSocket connection established"}
_OPENING_S = (0.02, 0.05, 0.1)  # waits between tries while a connection is still opening
_REFUSAL_TRIES = 20  # some seconds: a client that has gone by then does not wait for the reason
_OPENED_WITHIN = timedelta(seconds=30)  # API Gateway gives up opening a connection after 29 s


def push(bodies: Sequence[str]) -> None:
    """Pushes messages of one group of the realtime queue, in their order."""
    events: dict[str, list[LoggedEvent]] = defaultdict(list)
    prices: dict[tuple[str, str | None], dict[str, Any]] = {}
    for message in (simplejson.loads(body, use_decimal=True) for body in bodies):
        if connection_id := message.get("welcome"):
            _welcome(connection_id, int(message["tries"]))
        elif connection_id := message.get("refuse"):
            _refuse(connection_id, message["error"], int(message["tries"]))
        elif connection_id := message.get("join"):
            _join(connection_id)
        elif price := message.get("price"):
            prices[price["symbol"], price["user_id"]] = price  # only the newest price of each counts
        else:
            event = LoggedEvent.model_validate(message)
            events[event.stream].append(event)
    for stream, stream_events in events.items():
        _events(stream, stream_events)
    if prices:
        _prices(list(prices.values()))


def _events(stream: str, events: Sequence[LoggedEvent]) -> None:
    """Sends events of one stream to its connections. One read finds the connections for all events."""
    connections = entitlement.permitted(store.listeners(stream, datetime.now(UTC)))
    made: dict[tuple[tuple[str, ...], bool, int], list[bytes]] = {}
    messages = []
    for connection in connections:
        new = [event for event in events if event.sequence > (connection.joined or 0)]
        cache_key = (connection.types, connection.batch, len(new))
        if cache_key not in made:  # most connections subscribe to the same types and share their messages
            made[cache_key] = frames(connection, new)
        messages.append((connection.connection_id, made[cache_key]))
    gone = fan_out(messages)
    _remove_gone(gone)
    log.info(
        "events pushed",
        extra={
            "types": sorted({event.type for event in events}),
            "signal_ids": signal_ids(event.payload for event in events),
            "last": events[-1].sequence,
            "connections": len(connections),
            "gone": len(gone),
        },
    )


def _prices(prices: Sequence[dict[str, Any]]) -> None:
    connections = entitlement.permitted(store.price_listeners(datetime.now(UTC)))
    messages = [
        (
            connection.connection_id,
            [_price(price) for price in prices if store.may_see_price(connection, price["user_id"])],
        )
        for connection in connections
    ]
    _remove_gone(fan_out(messages))
    log.info(
        "prices pushed",
        extra={"symbols": sorted({price["symbol"] for price in prices}), "connections": len(connections)},
    )


def _price(price: dict[str, Any]) -> bytes:
    payload = {"symbol": price["symbol"], "price": price["price"]}
    return encode({"type": patterns.PRICE, "payload": payload, "timestamp": price["timestamp"]})


def _remove_gone(gone: Sequence[str]) -> None:
    for connection_id in gone:
        store.remove(connection_id)


def _welcome(connection_id: str, tries: int) -> None:
    """Sends the first message. Until `$connect` has been answered, the connection counts as gone."""
    for pause in (*_OPENING_S, None):
        if post(connection_id, WELCOME):
            connection = store.get(connection_id)
            if connection:
                queue.join(connection_id, connection.stream)
            log.info("connection welcomed", extra={"connection_id": connection_id})
            return
        if pause:
            time.sleep(pause)
    connection = store.get(connection_id)
    if connection and datetime.now(UTC) < connection.connected_at + _OPENED_WITHIN:
        queue.welcome(connection_id, tries + 1)  # later, behind the group's other messages
    elif connection:
        store.remove(connection_id)


def _refuse(connection_id: str, error: dict[str, Any], tries: int) -> None:
    """Sends the error in the URL's parameters, and closes the connection.

    A connection that is still opening counts as gone, as for `_welcome`.
    """
    for pause in (*_OPENING_S, None):
        if post(connection_id, error):
            close(connection_id)
            return
        if pause:
            time.sleep(pause)
    if tries < _REFUSAL_TRIES:
        queue.refuse(connection_id, error, tries + 1)


def _join(connection_id: str) -> None:
    """Sends a welcomed connection the events since its opening, and subscribes it to later ones.

    The stream's events share the message group of this task, so none arrives in between.
    """
    connection = store.get(connection_id)
    if connection is None or connection.joined is not None or not entitlement.is_still_entitled(connection):
        return
    found = missed_events(connection.stream, connection.after)
    ending = [encode(resumed_message(found))] if connection.resuming else []
    if send(connection_id, [*frames(connection, found.events), *ending]):
        store.join(connection_id, found.last)
    else:
        store.remove(connection_id)
