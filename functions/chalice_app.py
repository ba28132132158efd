"""Our routes on a Chalice app: what API Gateway sends in, what goes back out."""

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
    # Personal data belongs into no cache; the dashboard's files say otherwise themselves
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",  # browsers heed it over TLS only
}
"""Headers of every answer, unless the route gives its own."""


Check = Callable[[Request, Route], None]


@dataclass(frozen=True, slots=True)
class Served:
    """What an HTTP function serves.

    Attributes:
        check: Refuses requests before their route sees them.
        inbound: The routes check URL and headers themselves: a request for a webhook is logged however odd it
            is.
    """

    routes: Sequence[Route]
    check: Check | None = None
    inbound: bool = False


def build(name: str, served: Served) -> Chalice:
    """A Chalice app whose Lambda handler serves these routes."""
    app = Chalice(app_name=name)
    add(app, served)
    return app


def add(app: Chalice, served: Served) -> None:
    """Has the app serve these routes too."""
    for route in served.routes:
        view = _view(app, route, served.check, inbound=served.inbound)
        types = _ANY_TYPE if route.method in ("POST", "PUT", "PATCH") else ["application/json"]
        app.route(
            route.path, methods=[route.method], content_types=types, name=f"{route.method} {route.path}"
        )(view)


def _view(app: Chalice, route: Route, check: Check | None, *, inbound: bool) -> Any:
    def view(**path: str) -> Response:
        return _response(app.current_request, route, path, check, inbound=inbound)

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
    """The query by name. One that is given twice with different values holds both.

    Taking either would be a guess.
    """
    return {name: ",".join(dict.fromkeys(params.getlist(name))) for name in params} if params else {}


def _response(
    current: Any, route: Route, path: dict[str, str], check: Check | None, *, inbound: bool
) -> Response:
    """The route's answer, written out; every error becomes HTTP here and nowhere else."""
    language = "en"
    try:
        request = _request(current, route, path)
        language = request.language
        if not inbound:
            request.check_values()
        if check:
            check(request, route)
        return _rendered(route.answer(request))
    except Refused as refused:
        return _rendered(refusal(refused, language))
    except Retryable as fault:
        log.warning("not done, the sender may try again", extra={"route": route.path, "fault": str(fault)})
        return _rendered(
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
        return _rendered(Answer(500, {"error": "Internal error", "code": "internal"}))


def _rendered(answer: Answer) -> Response:
    body = answer.body if isinstance(answer.body, str) else to_json(answer.body)
    headers: dict[str, str | list[str]] = {**SAFEGUARDS, "Content-Type": "application/json", **answer.headers}
    return Response(body=body, status_code=answer.status, headers=headers)
