"""Realtime over HTTP.

Connect tickets, the list of connections, and events too large for a WebSocket message.
"""

from typing import Any

from chalicelib import aws, config, paging
from chalicelib.errors import NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.realtime import connect_tickets, resume, store
from chalicelib.users import entitlement
from chalicelib.users.access import Caller, caller

_LONGEST_SEQUENCE = 15  # digits


def make_ticket(request: Request) -> Answer:
    """A ticket that opens one WebSocket connection within a minute."""
    ticket = connect_tickets.issue_ticket(caller(request), request.received_at)
    body = {
        "ticket": ticket,
        "expires_in": int(connect_tickets.GOOD_FOR.total_seconds()),
        "expires_at": request.received_at + connect_tickets.GOOD_FOR,
        "url": f"{config.setting('WS_URL')}?ticket={ticket}",
    }
    return Answer(201, body, {"Cache-Control": "no-store"})


def list_connections(request: Request) -> Answer:
    """Open connections, newest first: for admins all or `?user_id=`, for users their own."""
    who, page = caller(request), paging.page_request(request)
    user_id = who.whose_or_all(request)
    now = {"since": (request.received_at - store.LIFETIME).isoformat()}
    only: dict[str, Any] = {"filter_expression": "user_id = :user", "user": user_id} if user_id else {}
    return paging.answer(
        "connections",
        "#open = :yes AND connected_at > :since",
        page,
        _view,
        index="open",
        newest_first=True,
        yes="1",
        **now,
        **only,
    )


def get_event(request: Request) -> Answer:
    """The full event of the caller's own stream. A trimmed message links here."""
    sequence = request.path["sequence"]
    if (
        not sequence.isascii()
        or not sequence.isdigit()
        or len(sequence) > _LONGEST_SEQUENCE
        or int(sequence) == 0
    ):
        raise NotFound("not_found")
    event = resume.event_at(_stream(caller(request)), int(sequence))
    if event is None:
        raise NotFound("not_found")
    return Answer(200, event.shown)


def _stream(who: Caller) -> str:
    return entitlement.stream_of(who.role, who.user_id)


def _view(item: aws.Item) -> aws.Item:
    connection = store.Connection.model_validate(item)
    return connection.model_dump(exclude=set(store.INTERNAL)) | {"ends_at": connection.ends_at}


REALTIME = [
    Route("POST", "/realtime/tickets", make_ticket),
    Route("GET", "/realtime/connections", list_connections),
    Route("GET", "/realtime/events/{sequence}", get_event),
]
