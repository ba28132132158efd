"""Refuses query parameters and bodies that a route's documentation does not have.

The models of bodies refuse unknown fields themselves. An ignored filter would look like a working one: a
client that takes the first item of the answer would take a wrong record.
"""

import json

from chalicelib.errors import Refused
from chalicelib.http import Request, Route
from chalicelib.openapi import subjects
from chalicelib.openapi.docs import PAGING, Docs
from chalicelib.unknown_fields import refuse_unknown

_WITH_BODY = ("POST", "PATCH", "PUT", "DELETE")


def check(request: Request, route: Route) -> None:
    """Refuses every name that the route's documentation does not have.

    Inbound webhooks and the dashboard's files are exempt.

    Raises:
        Refused: `unknown_field`; `not_a_json_object` for a body on a route that takes none;
            `idempotency_key_not_taken`, because a client that sends the header relies on it.
    """
    has_body = route.method in _WITH_BODY and bool(request.body.strip())
    has_key = route.method == "POST" and "idempotency-key" in request.headers
    if not request.query and not has_body and not has_key:
        return
    docs = subjects.docs()[f"{route.method} {route.path}"]
    if is_open(docs):
        return
    if has_key and not docs.idempotency_key:
        raise Refused("idempotency_key_not_taken", field="Idempotency-Key")
    refuse_unknown(request.query, query_names(docs))
    if has_body and docs.body is None:
        _refuse_body(request.body)


def is_open(docs: Docs) -> bool:
    """Returns whether a route takes any name: a webhook, whose fields have their own rules, or a file."""
    return docs.security in ("webhook", "telegram") or docs.content_type != "application/json"


def query_names(docs: Docs) -> set[str]:
    """Returns the query parameters of a route."""
    return {*docs.query, *(PAGING if docs.paged else ())}


def _refuse_body(body: bytes) -> None:
    """Refuses a body on a route that takes none. An empty object and null are allowed."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("not_a_json_object") from None
    if values is None:
        return
    if not isinstance(values, dict):
        raise Refused("not_a_json_object")
    refuse_unknown(values, ())
