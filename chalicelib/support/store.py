"""Tickets and messages as items of one table. Message 0 is the ticket itself."""

from typing import Any

from chalicelib import aws
from chalicelib.support.models import Message, Ticket

LISTED = "1"
"""The only partition of the index `listed`: every ticket by its number."""


def key(ticket_id: int, message_id: int = 0) -> dict[str, int]:
    """Returns the key of a ticket, or of one of its messages."""
    return {"ticket_id": ticket_id, "message_id": message_id}


def get(ticket_id: int) -> Ticket | None:
    """Returns a ticket. None if it does not exist."""
    item = aws.get("tickets", key(ticket_id))
    return Ticket.model_validate(item) if item else None


def new_ticket_write(ticket: Ticket) -> aws.Write:
    """Returns the write of a new ticket."""
    times = {"created_at": ticket.created_at.isoformat(), "updated_at": ticket.updated_at.isoformat()}
    item: dict[str, Any] = ticket.model_dump() | key(ticket.ticket_id) | times
    return aws.put_write(
        "tickets", item | {"status": ticket.status.value, "listed": LISTED}, "attribute_not_exists(ticket_id)"
    )


def new_message_write(message: Message) -> aws.Write:
    """Returns the write of a new message."""
    item = message.model_dump() | {"created_at": message.created_at.isoformat()}
    return aws.put_write("tickets", item, "attribute_not_exists(ticket_id)")
