"""Events about tickets, with ids as numbers as in the admin seed's other events."""

from datetime import datetime
from typing import Any

from chalicelib import aws
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.support.models import Message, Status, Ticket
from chalicelib.users.models import shown_id


def created_write(ticket: Ticket) -> aws.Write:
    """Returns the write of `ticket.created`. `ticket.message_added` has the first message."""
    return _write("ticket.created", ticket, {"status": ticket.status.value}, ticket.created_at)


def status_changed_write(ticket: Ticket, old: Status, at: datetime) -> aws.Write:
    """Returns the write of `ticket.status_changed`, with the ticket's new state."""
    payload = {"status": ticket.status.value, "old_status": old.value, "new_status": ticket.status.value}
    return _write("ticket.status_changed", ticket, payload, at, str(ticket.version))


def message_added_write(ticket: Ticket, message: Message) -> aws.Write:
    """Returns the write of `ticket.message_added`, for a message of the user or of an admin."""
    payload = {
        "message_id": message.message_id,
        "author_id": shown_id(message.author_id),
        "is_from_admin": message.is_from_admin,
        "message": message.text,
    }
    return _write("ticket.message_added", ticket, payload, message.created_at, str(message.message_id))


def _write(type_: str, ticket: Ticket, more: dict[str, Any], at: datetime, *parts: str) -> aws.Write:
    payload = {"ticket_id": ticket.ticket_id, "user_id": shown_id(ticket.user_id), "title": ticket.title}
    return outbox.event_write(
        Event(
            event_id=event_id(type_, str(ticket.ticket_id), *parts),
            type=type_,
            payload=payload | more,
            entity=f"ticket#{ticket.ticket_id}",
            user_id=ticket.user_id,
            created_at=at,
        )
    )
