"""A ticket, its messages, and what a request may say of them. Immutable, no I/O."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from chalicelib.inputs import Caseless, Input, OneLine, Readable, UserId, Version
from chalicelib.users.models import Record

LONGEST_TEXT = 4000
"""Characters of a message; with room to spare in a Telegram message, which holds 4096."""


class Status(StrEnum):
    """Whose turn it is.

    A ticket starts open: an admin has to answer. An admin's message makes it pending: the user has to. The
    user's message makes it open again, also when it was closed; an admin's message to a closed ticket leaves
    it closed.
    """

    OPEN = "open"
    PENDING = "pending"
    CLOSED = "closed"


class Ticket(Record):
    """A ticket.

    Attributes:
        messages: How many it has; they are numbered from 1.
        version: Counts its changes, messages included.
    """

    ticket_id: int
    user_id: str
    title: str
    status: Status
    messages: int
    created_at: datetime
    updated_at: datetime
    version: int = 1


class Message(Record):
    """A message of a ticket.

    Attributes:
        author_id: The user who wrote it.
        is_from_admin: They wrote as an admin, and not in a ticket of their own.
    """

    ticket_id: int
    message_id: int
    author_id: str
    is_from_admin: bool
    text: str
    created_at: datetime


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("nothing but blanks")
    return text


Title = Annotated[str, Field(min_length=1, max_length=200), OneLine]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_said), Readable]


class NewTicket(Input):
    """The body of `POST /tickets`; `user_id` is for admins, who may open a ticket for a user."""

    title: Title
    message: Text
    user_id: UserId | None = None


class TicketChange(Input):
    """The body of `PATCH /tickets/{ticket_id}`; `version`, where given, is the one the change was made to."""

    title: Title | None = None
    status: Annotated[Status, Caseless] | None = None
    version: Version | None = None


class NewMessage(Input):
    """The body of `POST /tickets/{ticket_id}/messages`."""

    message: Text
