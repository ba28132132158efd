"""Opens tickets, adds messages, changes tickets. Each change and its events are one transaction."""

from collections.abc import Sequence
from datetime import datetime

from chalicelib import aws, counters
from chalicelib.audit import record
from chalicelib.errors import NotFound, Refused
from chalicelib.idempotency import IdempotentRequest
from chalicelib.inputs import set_fields
from chalicelib.support import events, store
from chalicelib.support.models import Message, NewTicket, Status, Ticket, TicketChange
from chalicelib.users.access import Caller
from chalicelib.users.models import Role
from chalicelib.versions import Edit, edit


def create(asked: NewTicket, who: Caller, now: datetime, once: IdempotentRequest | None = None) -> Ticket:
    """Opens a ticket with its first message. A ticket that an admin opens for a user is pending.

    Args:
        once: The idempotency key of the request. None if it has none.

    Raises:
        Replayed: The ticket was opened before, under the same key.
        Conflict: `idempotency_key_reused`.
        NotFound: The user does not exist.
    """
    user_id = who.user_id if asked.user_id is None else str(asked.user_id)
    from_admin = _from_admin(who, user_id)
    ticket = Ticket(
        ticket_id=counters.next_value("ticket"),
        user_id=user_id,
        title=asked.title,
        status=Status.PENDING if from_admin else Status.OPEN,
        messages=1,
        created_at=now,
        updated_at=now,
    )
    first = Message(
        ticket_id=ticket.ticket_id,
        message_id=1,
        author_id=who.user_id,
        is_from_admin=from_admin,
        text=asked.message,
        created_at=now,
    )
    audit_change = record.Change(
        who.user_id, "ticket.created", _entity(ticket), user_id, now, after={"title": ticket.title}
    )
    writes = [
        aws.check_write("users", {"user_id": user_id, "part": "profile"}, "attribute_exists(user_id)"),
        store.new_ticket_write(ticket),
        store.new_message_write(first),
        events.created_write(ticket),
        events.message_added_write(ticket, first),
        record.write(audit_change),
        *([once.write(ticket.view())] if once else []),
    ]
    try:
        aws.transact(writes)
    except aws.WriteRefused as refused:
        if once:
            once.check(refused)
        if refused.failed[0] is not None:
            raise NotFound("user_not_found") from None
        raise
    return ticket


def add_message(
    ticket_id: int, text: str, who: Caller, now: datetime, once: IdempotentRequest | None = None
) -> Message:
    """Adds a message to a ticket and updates the status.

    Args:
        once: The idempotency key of the request. None if it has none.

    Raises:
        Replayed: The message was added before, under the same key.
        Conflict: `idempotency_key_reused`.
        NotFound: The ticket does not exist or belongs to another user.
        Retryable: Concurrent changes won every try.
    """
    added: list[Message] = []

    def plan(item: aws.Item, version: int) -> Edit:
        if once:
            once.look()
        ticket = Ticket.model_validate(item)
        who.require_owner(ticket.user_id)
        from_admin = _from_admin(who, ticket.user_id)
        message = Message(
            ticket_id=ticket_id,
            message_id=ticket.messages + 1,
            author_id=who.user_id,
            is_from_admin=from_admin,
            text=text,
            created_at=now,
        )
        added[:] = [message]
        status = _turn(ticket.status, from_admin=from_admin)
        after = ticket.model_copy(update={"status": status, "version": version})
        audit_change = record.Change(
            who.user_id,
            "ticket.message_added",
            _entity(ticket),
            ticket.user_id,
            now,
            after={"message_id": message.message_id},
        )
        writes = [
            store.new_message_write(message),
            events.message_added_write(after, message),
            record.write(audit_change),
        ]
        if status is not ticket.status:
            writes.append(events.status_changed_write(after, ticket.status, now))
        if once:
            writes.append(once.write(message.view()))
        fields = {"messages": message.message_id, "status": status.value, "updated_at": now.isoformat()}
        return Edit(fields, _unrefused(writes))

    edit("tickets", store.key(ticket_id), None, plan)
    return added[0]


def change(ticket_id: int, asked: TicketChange, who: Caller, now: datetime) -> Ticket:
    """Changes title or status. No-op if nothing differs.

    Raises:
        NotFound: The ticket does not exist or belongs to another user.
        Conflict: `version_conflict`.
    """
    wanted = {name: value for name, value in set_fields(asked, "version").items() if value is not None}

    def plan(item: aws.Item, version: int) -> Edit:
        before = Ticket.model_validate(item)
        who.require_owner(before.user_id)
        fields = {name: value for name, value in wanted.items() if getattr(before, name) != value}
        if not fields:
            return Edit({})
        after = before.model_copy(update=fields | {"version": version})
        old = {name: getattr(before, name) for name in fields}
        writes = [
            record.write(
                record.Change(
                    who.user_id, "ticket.updated", _entity(before), before.user_id, now, old, fields
                )
            )
        ]
        if after.status is not before.status:
            writes.append(events.status_changed_write(after, before.status, now))
        return Edit(
            {name: str(value) for name, value in fields.items()} | {"updated_at": now.isoformat()},
            _unrefused(writes),
        )

    return Ticket.model_validate(edit("tickets", store.key(ticket_id), asked.version, plan))


def _turn(status: Status, *, from_admin: bool) -> Status:
    if not from_admin:
        return Status.OPEN
    return Status.CLOSED if status is Status.CLOSED else Status.PENDING


def _from_admin(who: Caller, user_id: str) -> bool:
    """Returns whether the caller writes as an admin. In the own ticket, an admin writes as its user."""
    return who.role is Role.ADMIN and who.user_id != user_id


def _unrefused(writes: Sequence[aws.Write]) -> list[tuple[aws.Write, Refused | None]]:
    return [(write, None) for write in writes]


def _entity(ticket: Ticket) -> str:
    return f"ticket#{ticket.ticket_id}"
