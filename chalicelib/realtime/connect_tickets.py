"""Connect tickets.

Good for one connection within a minute, so that no long-lived token need stand in a URL.
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
    """A ticket for a caller, shown once; only its hash is stored.

    What it opens ends with the token it was asked for with.
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


def use_ticket(ticket: str, now: datetime) -> Caller:
    """The user whom a ticket lets in, this once.

    Raises:
        Unauthorized: Nobody issued it, or it was used, or its minute is over, or the token it was asked for
            with holds no more.
        Forbidden: The user is not active any more.
    """
    key = {"ticket_hash": _digest(ticket)}
    stored = aws.get("connect_tickets", key)
    if stored is None or int(stored["forget_at"]) <= now.timestamp():
        raise Unauthorized("token_wrong")
    try:
        aws.write(aws.delete_write("connect_tickets", key, "attribute_exists(ticket_hash)"))
    except aws.WriteRefused:
        raise Unauthorized("token_wrong") from None  # another connection used it between our read and now
    return access.by_token_hash(stored["token_hash"], stored["user_id"], now)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
