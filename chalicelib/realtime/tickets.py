"""Connect tickets: good for one connection within a minute, so that no long-lived token need stand in a URL."""

import hashlib
import secrets
from datetime import datetime, timedelta

from chalicelib import aws
from chalicelib.errors import Forbidden, Unauthorized
from chalicelib.users.access import Caller
from chalicelib.users.models import User

GOOD_FOR = timedelta(seconds=60)


def issue(caller: Caller, now: datetime) -> str:
    """A ticket for a caller, shown once; only its hash is stored. What it opens ends with the token it was asked for with."""
    ticket = f"wst_{secrets.token_urlsafe(32)}"
    item = {
        "ticket_hash": _digest(ticket),
        "user_id": caller.user_id,
        "token_hash": caller.token_hash,
        "forget_at": int((now + GOOD_FOR).timestamp()),
    }
    if caller.token_expires_at:
        item["token_expires_at"] = caller.token_expires_at.isoformat()
    aws.write(aws.put("connect_tickets", item))
    return ticket


def use(ticket: str, now: datetime) -> Caller:
    """The user whom a ticket lets in, this once.

    Raises:
        Unauthorized: Nobody issued it, or it was used, or its minute is over.
        Forbidden: The user is not active any more.
    """
    key = {"ticket_hash": _digest(ticket)}
    stored = aws.get("connect_tickets", key)
    if stored is None or int(stored["forget_at"]) <= now.timestamp():
        raise Unauthorized("token_wrong")
    try:
        aws.write(aws.delete("connect_tickets", key, "attribute_exists(ticket_hash)"))
    except aws.WriteRefused:
        raise Unauthorized("token_wrong") from None  # another connection used it between our read and now
    [profile] = aws.get_many([("users", {"user_id": stored["user_id"], "part": "profile"})])
    if profile is None:
        raise Unauthorized("token_wrong")
    user = User.model_validate(profile)
    if not user.is_active:
        raise Forbidden("user_not_active")
    expires_at = stored.get("token_expires_at")
    ends = datetime.fromisoformat(expires_at) if expires_at else None
    return Caller(user.user_id, user.user_uuid, user.role, stored["token_hash"], ends)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
