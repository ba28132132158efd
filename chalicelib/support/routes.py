"""Tickets over HTTP. Users open, read, answer, close and reopen their own tickets, admins all tickets."""

from datetime import UTC, datetime
from typing import Any

from chalicelib import aws, idempotency, inputs, paging
from chalicelib.errors import NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.support import change, store
from chalicelib.support.models import Message, NewMessage, NewTicket, Status, Ticket, TicketChange
from chalicelib.users.access import Caller, caller
from chalicelib.versions import answering_conflicts


def create_ticket(request: Request) -> Answer:
    """Opens a ticket."""
    who = caller(request)
    asked = inputs.body(request, NewTicket)
    if asked.user_id is not None and str(asked.user_id) != who.user_id:
        who.require_admin()
    now = datetime.now(UTC)
    return idempotency.answer_once(
        request, who.credential, now, lambda once: change.create(asked, who, now, once).view()
    )


def list_tickets(request: Request) -> Answer:
    """Lists tickets, newest first: the caller's own. For an admin all, or those of `?user_id=`."""
    who, page = caller(request), paging.page_request(request)
    user_id = who.whose_or_all(request)
    status = inputs.choice(request, "status", tuple(Status))
    filters: dict[str, Any] = {"filter_expression": "#status = :status", "status": status} if status else {}
    if user_id is None:
        return paging.answer(
            "tickets",
            "listed = :all",
            page,
            _ticket_item_view,
            index="listed",
            newest_first=True,
            all=store.LISTED,
            **filters,
        )
    return paging.answer(
        "tickets",
        "user_id = :user",
        page,
        _ticket_item_view,
        index="by_user",
        newest_first=True,
        user=user_id,
        **filters,
    )


def get_ticket(request: Request) -> Answer:
    """Returns one ticket."""
    _, ticket = _target(request)
    return Answer(200, ticket.view())


@answering_conflicts
def change_ticket(request: Request) -> Answer:
    """Changes a ticket's title or status."""
    who = caller(request)
    asked = inputs.body(request, TicketChange)
    return Answer(200, change.change(_number(request), asked, who, datetime.now(UTC)).view())


def list_messages(request: Request) -> Answer:
    """Lists a ticket's messages, oldest first."""
    _, ticket = _target(request)
    page = paging.page_request(request)
    condition = "ticket_id = :ticket AND message_id > :itself"
    return paging.answer("tickets", condition, page, _message_item_view, ticket=ticket.ticket_id, itself=0)


def add_message(request: Request) -> Answer:
    """Adds a message to a ticket."""
    who = caller(request)
    asked = inputs.body(request, NewMessage)
    number, now = _number(request), datetime.now(UTC)
    return idempotency.answer_once(
        request,
        who.credential,
        now,
        lambda once: change.add_message(number, asked.message, who, now, once).view(),
    )


def _target(request: Request) -> tuple[Caller, Ticket]:
    who = caller(request)
    ticket = store.get(_number(request))
    if ticket is None:
        raise NotFound("not_found")
    who.require_owner(ticket.user_id)
    return who, ticket


def _ticket_item_view(item: aws.Item) -> dict[str, Any]:
    return Ticket.model_validate(item).view()


def _message_item_view(item: aws.Item) -> dict[str, Any]:
    return Message.model_validate(item).view()


def _number(request: Request) -> int:
    """Returns the ticket number in the path. Raises NotFound for other texts."""
    text = request.path["ticket_id"]
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**53)):
        raise NotFound("not_found")
    return int(text)


TICKETS = [
    Route("POST", "/tickets", create_ticket),
    Route("GET", "/tickets", list_tickets),
    Route("GET", "/tickets/{ticket_id}", get_ticket),
    Route("PATCH", "/tickets/{ticket_id}", change_ticket),
    Route("GET", "/tickets/{ticket_id}/messages", list_messages),
    Route("POST", "/tickets/{ticket_id}/messages", add_message),
]
