"""Connect tickets.

A ticket opens one connection within a minute, so that a URL needs no long-lived token.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from chalicelib import aws
from chalicelib.audit import record
from chalicelib.errors import Unauthorized
from chalicelib.users import access
from chalicelib.users.access import Caller

GOOD_FOR = timedelta(seconds=60)


def issue_ticket(caller: Caller, now: datetime) -> str:
    """Returns a ticket for a caller. Only its hash is stored.

    Its connection ends when the token of the request for the ticket ends.
    """
    ticket = f"wst_{secrets.token_urlsafe(32)}"
    item = {
        "ticket_hash": _digest(ticket),
        "user_id": caller.user_id,
        "token_hash": caller.token_hash,
        "forget_at": int((now + GOOD_FOR).timestamp()),
    }
    change = record.Change(
        caller.user_id, "realtime.ticket_made", f"user#{caller.user_id}", caller.user_id, now
    )
    aws.transact([aws.put_write("connect_tickets", item), record.write(change)])
    return ticket


def use_ticket(ticket: str, now: datetime, address: str | None = None) -> Caller:
    """Consumes a ticket and returns its user.

    Raises:
        Unauthorized: The ticket is unknown, used or expired, or its token is no longer valid.
        Forbidden: The user is no longer active, or the token may not be used from this address.
    """
    key = {"ticket_hash": _digest(ticket)}
    stored = aws.get("connect_tickets", key)
    if stored is None or int(stored["forget_at"]) <= now.timestamp():
        raise Unauthorized("token_wrong")
    try:
        aws.write(aws.delete_write("connect_tickets", key, "attribute_exists(ticket_hash)"))
    except aws.WriteRefused:
        raise Unauthorized("token_wrong") from None  # another connection used it between our read and now
    return access.by_token_hash(stored["token_hash"], stored["user_id"], now, address)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
