"""Every route is a closed model: a query parameter that the document does not know is refused.

So is a body where none is taken. Bodies that are taken are closed by their models.

A filter that nothing reads would look like one that works: a client that takes the first item of the answer
takes a wrong record.
"""

import json

from chalicelib.errors import Refused
from chalicelib.http import Request, Route
from chalicelib.openapi import subjects
from chalicelib.openapi.docs import PAGING, Docs
from chalicelib.unknown_fields import refuse_unknown

_WITH_BODY = ("POST", "PATCH", "PUT", "DELETE")


def check(request: Request, route: Route) -> None:
    """Refuses what the route's documentation does not have.

    Inbound webhooks and the dashboard's files are exempt.

    Raises:
        Refused: `unknown_field`; `not_a_json_object` for a body that is something else on a route that takes
            none; `idempotency_key_not_taken`, because a client that sends the header relies on it.
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
    """Whether a route takes any name: a webhook, whose sender's fields have rules of their own, or a file."""
    return docs.security in ("webhook", "telegram") or docs.content_type != "application/json"


def query_names(docs: Docs) -> set[str]:
    """The query parameters of a route."""
    return {*docs.query, *(PAGING if docs.paged else ())}


def _refuse_body(body: bytes) -> None:
    """Refuses a body on a route that takes none. An empty object and null say nothing."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("not_a_json_object") from None
    if values is None:
        return
    if not isinstance(values, dict):
        raise Refused("not_a_json_object")
    refuse_unknown(values, ())
