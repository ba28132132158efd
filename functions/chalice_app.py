"""Our routes on a Chalice app: API Gateway's event in, response out."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chalice.app import Chalice, Response

from chalicelib.errors import Refused, Retryable
from chalicelib.http import Answer, Request, Route, refusal, to_json
from chalicelib.telemetry import log

_ANY_TYPE = ["*/*"]  # TradingView's content type says nothing about the body
SAFEGUARDS = {
    "X-Content-Type-Options": "nosniff",
    # No cache may keep personal data. The dashboard's files set their own header
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",  # browsers heed it over TLS only
}
"""Headers of every answer, unless the route gives its own."""


Check = Callable[[Request, Route], None]
Represent = Callable[[Request, Route, Answer], Answer]


@dataclass(frozen=True, slots=True)
class Served:
    """The routes and checks of an HTTP function.

    Attributes:
        check: Refuses requests before they reach their route.
        represent: Puts answers into the form that the client asks for.
        inbound: The routes check URL and headers themselves, because every request for a webhook is logged.
    """

    routes: Sequence[Route]
    check: Check | None = None
    represent: Represent | None = None
    inbound: bool = False


def build(name: str, served: Served) -> Chalice:
    """Returns a Chalice app whose Lambda handler serves these routes."""
    app = Chalice(app_name=name)
    add(app, served)
    return app


def add(app: Chalice, served: Served) -> None:
    """Adds these routes to the app."""
    for route in served.routes:
        view = _view(app, route, served)
        types = _ANY_TYPE if route.method in ("POST", "PUT", "PATCH") else ["application/json"]
        app.route(
            route.path, methods=[route.method], content_types=types, name=f"{route.method} {route.path}"
        )(view)


def _view(app: Chalice, route: Route, served: Served) -> Any:
    def view(**path: str) -> Response:
        return _response(app.current_request, route, path, served)

    return view


def _request(current: Any, route: Route, path: dict[str, str]) -> Request:
    milliseconds = current.context.get("requestTimeEpoch")
    received_at = datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else datetime.now(UTC)
    return Request(
        method=current.method,
        route=route.path,
        headers={name.lower(): value for name, value in current.headers.items()},
        query=_query(current.query_params),
        path={
            **(current.uri_params or {}),
            **path,
        },  # the rest of a catch-all path is no parameter of the view
        body=current.raw_body or b"",
        source_ip=current.context["identity"]["sourceIp"],
        received_at=received_at,
    )


def _query(params: Any) -> dict[str, str]:
    """Returns the query by name. A name with several different values holds all of them.

    To take one of them would be a guess.
    """
    return {name: ",".join(dict.fromkeys(params.getlist(name))) for name in params} if params else {}


def _response(current: Any, route: Route, path: dict[str, str], served: Served) -> Response:
    """Returns the route's response. This is the only place where errors become HTTP."""
    language = "en"
    try:
        request = _request(current, route, path)
        language = request.language
        if not served.inbound:
            request.check_values()
        if served.check:
            served.check(request, route)
        answer = route.answer(request)
        return _chalice_response(served.represent(request, route, answer) if served.represent else answer)
    except Refused as refused:
        return _chalice_response(refusal(refused, language))
    except Retryable as fault:
        log.warning("request failed, the client may retry", extra={"route": route.path, "fault": str(fault)})
        return _chalice_response(
            Answer(503, {"error": "Try again in a moment", "code": "unavailable"}, {"Retry-After": "1"})
        )
    except Exception as fault:  # noqa: BLE001 - the last guard: the sender gets JSON whatever it is, and the log the place
        place = traceback.extract_tb(fault.__traceback__)[-1]
        log.error(
            "unexpected error",
            extra={
                "route": route.path,
                "fault": type(fault).__name__,
                "at": f"{place.filename}:{place.lineno}",
            },
        )
        return _chalice_response(Answer(500, {"error": "Internal error", "code": "internal"}))


def _chalice_response(answer: Answer) -> Response:
    body = answer.body if isinstance(answer.body, str) else to_json(answer.body)
    headers: dict[str, str | list[str]] = {**SAFEGUARDS, "Content-Type": "application/json", **answer.headers}
    return Response(body=body, status_code=answer.status, headers=headers)
