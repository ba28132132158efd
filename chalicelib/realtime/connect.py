"""Opens and closes connections."""

from datetime import UTC, datetime
from typing import Any

from chalicelib.errors import Refused, Unauthorized
from chalicelib.events import log as event_log
from chalicelib.http import refusal
from chalicelib.realtime import connect_tickets, patterns, queue, store
from chalicelib.realtime.resume import HIGHEST
from chalicelib.telemetry import log
from chalicelib.unknown_fields import refuse_unknown
from chalicelib.users import access, entitlement

_PARAMETERS = ("token", "api_key", "ticket", "after", "types", "batch")
_DEVICE_SHOWN = 200  # characters


def open_connection(connection_id: str, event: dict[str, Any]) -> None:
    """Admits a client with `?token=` or `?api_key=`, an API token, or with `?ticket=`.

    The first message follows by the realtime queue: API Gateway takes none for a connection that is still
    opening. Events follow that message, from the stream's current position. With `?after=N` they continue
    from N. With `?after=last` they continue from now, and `resumed` marks the end of the missed ones.
    `?batch=true` and `?types=order.*,user.created` work as in `subscribe`.

    A refusal before the upgrade is about the credential alone: a browser's client cannot read the reason. For
    an invalid parameter, the client gets an `error` message after the upgrade, and the connection is closed.

    Raises:
        Unauthorized: No token, or one that does not open the API.
        Forbidden: The user is not active, or the token may not be used from this address.
    """
    now = datetime.now(UTC)
    query = event.get("queryStringParameters") or {}
    identity = event["requestContext"].get("identity", {})
    caller = _caller(query, now, identity.get("sourceIp"))
    stream = entitlement.stream_of(caller.role, caller.user_id)
    try:
        wishes = _wishes(query, stream)
    except Refused as refused:
        queue.refuse(connection_id, {"type": "error", **dict(refusal(refused, "en").body)})  # type: ignore[arg-type]
        log.info(
            "connection refused",
            extra={"connection_id": connection_id, "user_id": caller.user_id, "code": refused.code},
        )
        return
    store.add(
        store.Connection(
            connection_id=connection_id,
            stream=stream,
            **wishes,
            user_id=caller.user_id,
            user_uuid=caller.user_uuid,
            role=caller.role.value,
            connected_at=now,
            source_ip=identity.get("sourceIp", ""),
            device=_header(event, "user-agent")[:_DEVICE_SHOWN],
            token_hash=caller.token_hash,
            token_expires_at=caller.token_expires_at,
        )
    )
    queue.welcome(connection_id)
    log.info("connection opened", extra={"connection_id": connection_id, "user_id": caller.user_id})


def close_connection(connection_id: str) -> None:
    """Removes a closed connection."""
    store.remove(connection_id)
    log.info("connection closed", extra={"connection_id": connection_id})


def _caller(query: dict[str, str], now: datetime, address: str | None) -> access.Caller:
    if ticket := query.get("ticket"):
        return connect_tickets.use_ticket(ticket, now, address)
    token = query.get("token") or query.get("api_key")
    if not token:
        raise Unauthorized("token_missing")
    return access.by_token(token, now, address)


def _wishes(query: dict[str, str], stream: str) -> dict[str, Any]:
    """Returns the event options of the query string. Raises Refused for an invalid one."""
    refuse_unknown(query, _PARAMETERS)
    return {
        "after": _after(query, stream),
        "resuming": "after" in query,
        "types": patterns.validate_patterns(query["types"].split(","))
        if "types" in query
        else (patterns.EVERYTHING,),
        "batch": _flag(query, "batch"),
    }


def _after(query: dict[str, str], stream: str) -> int:
    after = query.get("after", "last")
    if after == "last":
        return event_log.last(stream)
    if not after.isascii() or not after.isdigit() or int(after[:20]) > HIGHEST:
        raise Refused("invalid_sequence", field="after")
    return int(after)


def _flag(query: dict[str, str], name: str) -> bool:
    value = query.get(name, "false")
    if value not in {"true", "false"}:
        raise Refused("invalid_choice", field=name, allowed="true, false")
    return value == "true"


def _header(event: dict[str, Any], name: str) -> str:
    return next(
        (str(value) for header, value in (event.get("headers") or {}).items() if header.lower() == name), ""
    )
