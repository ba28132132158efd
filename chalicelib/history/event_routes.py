"""The event log over HTTP, for clients that poll."""

from collections.abc import Mapping
from dataclasses import replace

from chalicelib import paging
from chalicelib.errors import Refused
from chalicelib.events import log as event_log
from chalicelib.http import Answer, Request, Route
from chalicelib.users import entitlement
from chalicelib.users.access import caller

_LONGEST_SEQUENCE = 15  # digits


def list_events(request: Request) -> Answer:
    """Lists the events of the caller's stream after a sequence, oldest first.

    An admin's stream has the events of all users. `next` is the next `after`.
    """
    who = caller(request)
    limit = paging.page_request(replace(request, query=_without_cursor(request.query))).limit
    stream = entitlement.stream_of(who.role, who.user_id)
    found = list(event_log.after(stream, _after(request), limit + 1))
    shown = [event.shown | {"entity": event.entity} for event in found[:limit]]
    next_sequence = str(found[limit - 1].sequence) if len(found) > limit else None
    return Answer(200, {"items": shown, "total": None, "next": next_sequence})


def _after(request: Request) -> int:
    """Returns the sequence to continue from. `cursor` is an alias of `after`, as every list has a cursor."""
    name = "after" if "after" in request.query else "cursor"
    text = request.query.get(name) or "0"
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_SEQUENCE:
        raise Refused("invalid_sequence", field=name)
    return int(text)


def _without_cursor(query: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if name != "cursor"}


EVENTS = [Route("GET", "/events", list_events)]
