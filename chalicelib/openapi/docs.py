"""The documentation of a route beyond its path and its docstring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from chalicelib import request_limits
from chalicelib.openapi.schemas import FLAG, ID, TEXT, TIME, WHOLE, Schema

Security = Literal["bearer", "webhook", "telegram", "none"]


@dataclass(frozen=True, slots=True)
class Docs:
    """A route's documentation.

    Attributes:
        answer: The body of a success, with an example.
        status: The status of a success.
        body: The request body, as its model or as a schema. None for no body.
        given: An example of the body.
        bodies: Further examples of the body, by name.
        query: Query parameters by name.
        paged: The route returns a list, with `limit`, `offset` and `cursor`.
        errors: Statuses besides the implied ones: 400 for unknown names, 413 with a body, 401 and 403 with a
            token, 404 with a path parameter.
        idempotency_key: The route takes an `Idempotency-Key`. Every other POST refuses the header. A
            route whose answer shows a secret does not take it, because the answer is stored.
        also: Further successes by status, with their schemas.
    """

    answer: Schema
    example: Any
    status: int = 200
    body: type[BaseModel] | Schema | None = None
    given: Any = None
    bodies: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Schema] = field(default_factory=dict)
    paged: bool = False
    errors: tuple[int, ...] = ()
    idempotency_key: bool = False
    also: Mapping[int, Schema] = field(default_factory=dict)
    security: Security = "bearer"
    content_type: str = "application/json"


OWNER: Mapping[str, Schema] = {
    "user_id": {**ID, "description": "For admins: whose; without it the caller's own"}
}
WINDOW: Mapping[str, Schema] = {"since": TIME, "until": TIME}
ACTIVE: Mapping[str, Schema] = {"is_active": FLAG}
WAIT: Mapping[str, Schema] = {
    "wait": {"type": "integer", "minimum": 0, "maximum": 25, "description": "Seconds to wait for the result"}
}
TOKEN: Mapping[str, Schema] = {
    "token": {**TEXT, "description": "The webhook token, where neither header nor body carries it"}
}
PAGING: Mapping[str, Schema] = {
    "limit": {
        **WHOLE,
        "minimum": 1,
        "maximum": request_limits.PAGE_ITEMS,
        "default": request_limits.PAGE_ITEMS_USUAL,
    },
    "offset": {**WHOLE, "minimum": 0, "maximum": request_limits.COUNTED},
    "cursor": {**TEXT, "description": "The `next` of the page before"},
}


def listing(example: Any) -> dict[str, Any]:
    """Returns an example of a list: one page with one item."""
    return {"items": [example], "total": 1, "next": None}
