"""The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0) of all HTTP routes."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

from chalicelib import config, messages, request_limits
from chalicelib.http import Answer, Request, Route
from chalicelib.openapi import closed, csv_lists, examples, subjects
from chalicelib.openapi.docs import PAGING, Docs
from chalicelib.openapi.schemas import TEXT, Schema, obj, request
from chalicelib.openapi.tags import TAGS, tag_of

_ERRORS: dict[int, tuple[str, dict[str, Any]]] = {
    400: ("missing_field", {"field": "symbol"}),
    401: ("token_wrong", {}),
    403: ("admin_only", {}),
    404: ("not_found", {}),
    409: ("changed_meanwhile", {}),
    413: ("too_large", {"limit": request_limits.API_BYTES}),
    422: ("insufficient_funds", {"needed": "18577.56", "available": "10000"}),
    429: ("too_many_requests", {"retry_after": 60}),
    500: ("internal", {}),
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {**TEXT, "maxLength": 255},
}
_UNAVAILABLE = {"error": "Try again in a moment", "code": "unavailable"}
_ABOUT = """Webhooks in, trades out, webhooks out.

Errors are `{"error", "code"}`: a sentence in the language of `Accept-Language`, and a stable code.

**WebSocket** at `/ws?token=` or `?api_key=` (an API token) or `?ticket=` (`POST /realtime/tickets`):
first `{"type": "connection", "status": "connected", ...}`, then events
`{"type", "payload", "timestamp", "sequence"}`.
Clients send `ping`, `register` or `login`, `unregister` or `logout`, `subscribe` and `resume`.
`GET /event-types` has every event with its schema.
"""


def routes(served: Sequence[Route]) -> list[Route]:
    """Returns the route of the document, which covers these routes and itself."""

    def get_document(_request: Request) -> Answer:
        """This document."""
        return Answer(200, document())

    own = Route("GET", "/openapi.json", get_document)

    @cache
    def document() -> Mapping[str, Any]:
        return make([*served, own])

    return [own]


def make(served: Sequence[Route]) -> dict[str, Any]:
    """Returns the document of these routes. Raises KeyError for an undocumented route."""
    known = subjects.docs()
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(served, key=lambda each: (each.path, each.method)):
        name = f"{route.method} {route.path}"
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, known[name])
    codes = [code for code in messages.catalogue("en") if code != "webhook_success"]
    error = obj({"success": {"const": False}}, error=TEXT, code={**TEXT, "examples": codes})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tradehook",
            "version": "0.2.0",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
            "contact": {"name": "The operator of this deployment"},
        },
        "servers": [{"url": config.setting("PUBLIC_URL") or "/"}],
        "tags": [{"name": name, "description": about} for name, (about, _) in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {"Error": error},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API token"},
                "webhook": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Webhook-Token",
                    "description": "Also as `?token=` or in the body",
                },
                "telegram": {"type": "apiKey", "in": "header", "name": "X-Telegram-Bot-Api-Secret-Token"},
            },
        },
    }


def _operation(route: Route, docs: Docs) -> dict[str, Any]:
    summary, _, rest = (route.answer.__doc__ or "").strip().partition("\n")
    operation = {
        "operationId": f"{route.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', route.path.lower()).strip('_')}",
        "tags": [tag_of(route.path)],
        "summary": summary.replace("`", ""),  # readers show summaries as plain text
        "description": _description(rest, docs),
        "parameters": [
            *_path_parameters(route),
            *_query_parameters(docs),
            *([_IDEMPOTENCY_KEY] if docs.idempotency_key else []),
        ],
        "responses": _responses(route, docs),
        "security": {"none": [], "webhook": [{"webhook": []}, {}]}.get(docs.security, [{docs.security: []}]),
    }
    if docs.body is not None:
        schema = request(docs.body) if isinstance(docs.body, type) else docs.body
        shown = {"usual": docs.given, **docs.bodies}
        content = {
            "schema": schema,
            "examples": {name: {"value": value} for name, value in shown.items() if value is not None},
        }
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def _description(rest: str, docs: Docs) -> str:
    """Returns what the docstring says beyond its first line, and what the route asks for."""
    asks = {
        "bearer": "Needs an API token.",
        "webhook": "Needs a webhook token, or for `/xc` the user's code.",
        "telegram": "Needs Telegram's secret.",
        "none": "Needs no token.",
    }
    parts = [
        re.sub(r"\n[ \t]+", "\n", rest.strip()),
        asks[docs.security],
        "The answer is one page of a list." if docs.paged else "",
        "Takes an `Idempotency-Key`: the same request is carried out once." if docs.idempotency_key else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", route.path)
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {**TEXT, "minLength": 1},
            "example": examples.PATH[name],
        }
        for name in names
    ]


def _query_parameters(docs: Docs) -> list[dict[str, Any]]:
    wanted: Mapping[str, Schema] = {**docs.query, **(PAGING if docs.paged else {})}
    return [
        {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in wanted.items()
    ]


def _responses(route: Route, docs: Docs) -> dict[str, Any]:
    answers = {docs.status: _content(docs.answer, docs.example, docs.content_type)}
    answers |= {status: _content(schema, None, docs.content_type) for status, schema in docs.also.items()}
    if route.method == "GET" and csv_lists.is_list(docs):
        answers[docs.status]["content"][csv_lists.CSV] = {"schema": TEXT}
    for status in _error_statuses(route, docs):
        if status in _ERRORS:
            code, values = _ERRORS[status]
            example = {"error": messages.render(code, values, "en"), "code": code}
        else:
            example = _UNAVAILABLE
        answers[status] = _content({"$ref": "#/components/schemas/Error"}, example, "application/json")
    return {
        str(status): {"description": HTTPStatus(status).phrase, **content}
        for status, content in sorted(answers.items())
    }


def _error_statuses(route: Route, docs: Docs) -> set[int]:
    statuses = {500, 503, *docs.errors}
    if docs.body is not None or docs.query or not closed.is_open(docs):
        statuses |= {400}
    if docs.body is not None:
        statuses |= {413}
    if docs.security != "none":
        statuses |= {401, 403}
    if "{" in route.path or "user_id" in docs.query:
        statuses |= {404}
    return statuses - {docs.status}


def _content(schema: Schema, example: Any, content_type: str) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"content": {content_type: content}}
