"""Documentation of the tickets' routes."""

from chalicelib.openapi.docs import OWNER, Docs, listing
from chalicelib.openapi.examples import AT, USER_ID
from chalicelib.openapi.schemas import ID, TEXT, one_of, page, record
from chalicelib.support.models import Message, NewMessage, NewTicket, Status, Ticket, TicketChange

_TICKET = record(Ticket, user_id=ID)
_MESSAGE = record(Message, ("text",), author_id=ID, message=TEXT)
_ticket = {
    "ticket_id": 1,
    "user_id": USER_ID,
    "title": "An order is missing",
    "status": "open",
    "messages": 1,
    "created_at": AT,
    "updated_at": AT,
    "version": 1,
}
_message = {
    "ticket_id": 1,
    "message_id": 1,
    "author_id": USER_ID,
    "is_from_admin": False,
    "created_at": AT,
    "message": "See signal 33eb…",
}
_given = {"title": "An order is missing", "message": "See signal 33eb…"}

DOCS = {
    "POST /tickets": Docs(
        _TICKET, _ticket, 201, NewTicket, _given, errors=(404, 409, 422), idempotency_key=True
    ),
    "GET /tickets": Docs(
        page(_TICKET), listing(_ticket), query={**OWNER, "status": one_of(*Status)}, paged=True
    ),
    "GET /tickets/{ticket_id}": Docs(_TICKET, _ticket),
    "PATCH /tickets/{ticket_id}": Docs(
        _TICKET, _ticket, body=TicketChange, given={"status": "closed"}, errors=(409, 422)
    ),
    "GET /tickets/{ticket_id}/messages": Docs(page(_MESSAGE), listing(_message), paged=True),
    "POST /tickets/{ticket_id}/messages": Docs(
        _MESSAGE,
        _message,
        201,
        NewMessage,
        {"message": "See signal 33eb…"},
        errors=(409, 422),
        idempotency_key=True,
    ),
}
