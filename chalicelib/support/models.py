"""A ticket, its messages, and the bodies of requests. Immutable, no I/O."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from chalicelib.inputs import Caseless, Input, OneLine, Readable, UserId, Version
from chalicelib.users.models import Record, shown_id

LONGEST_TEXT = 4000
"""Characters of a message. A Telegram message has 4096, which leaves room for other text."""


class Status(StrEnum):
    """Who must answer.

    A new ticket is open: an admin must answer. An admin's message makes it pending: the user must answer. The
    user's message opens it again, even if it was closed. An admin's message leaves a closed ticket closed.
    """

    OPEN = "open"
    PENDING = "pending"
    CLOSED = "closed"


class Ticket(Record):
    """A ticket.

    Attributes:
        messages: The number of messages, numbered from 1.
        version: The number of changes, messages included.
    """

    ticket_id: int
    user_id: str
    title: str
    status: Status
    messages: int
    created_at: datetime
    updated_at: datetime
    version: int = 1

    def view(self) -> dict[str, Any]:
        """Returns the ticket as the API shows it."""
        return self.model_dump() | {"user_id": shown_id(self.user_id)}


class Message(Record):
    """A message of a ticket.

    Attributes:
        author_id: The user who wrote the message.
        is_from_admin: The author wrote as an admin, not in the own ticket.
    """

    ticket_id: int
    message_id: int
    author_id: str
    is_from_admin: bool
    text: str
    created_at: datetime

    def view(self) -> dict[str, Any]:
        """Returns the message as the API shows it."""
        shown = {"author_id": shown_id(self.author_id), "message": self.text}
        return self.model_dump(exclude={"text"}) | shown


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("only blanks")
    return text


Title = Annotated[str, Field(min_length=1, max_length=200), OneLine]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_not_blank), Readable]


class NewTicket(Input):
    """The body of `POST /tickets`. Admins may set `user_id` to open a ticket for a user."""

    title: Title
    message: Text
    user_id: UserId | None = None


class TicketChange(Input):
    """The body of `PATCH /tickets/{ticket_id}`. `version` is the version that the editor saw."""

    title: Title | None = None
    status: Annotated[Status, Caseless] | None = None
    version: Version | None = None


class NewMessage(Input):
    """The body of `POST /tickets/{ticket_id}/messages`."""

    message: Text
