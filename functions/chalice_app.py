"""Our routes on a Chalice app: what API Gateway sends in, what goes back out."""

import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from chalice.app import Chalice, Response

from chalicelib.errors import Refused, Retryable
from chalicelib.http import Answer, Request, Route, refusal, to_json
from chalicelib.telemetry import log

_ANY_TYPE = ["*/*"]  # TradingView's content type says nothing about the body


def build(name: str, routes: Sequence[Route]) -> Chalice:
    """A Chalice app whose Lambda handler serves these routes."""
    app = Chalice(app_name=name)
    add(app, routes)
    return app


def add(app: Chalice, routes: Sequence[Route]) -> None:
    """Has the app serve these routes too."""
    for route in routes:
        view = _view(app, route)
        types = _ANY_TYPE if route.method in ("POST", "PUT", "PATCH") else ["application/json"]
        app.route(route.path, methods=[route.method], content_types=types, name=f"{route.method} {route.path}")(view)


def _view(app: Chalice, route: Route) -> Any:
    def view(**path: str) -> Response:
        return _response(_answer(_request(app.current_request, route, path), route))

    return view


def _request(current: Any, route: Route, path: dict[str, str]) -> Request:
    milliseconds = current.context.get("requestTimeEpoch")
    received_at = datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else datetime.now(UTC)
    return Request(
        method=current.method,
        route=route.path,
        headers={name.lower(): value for name, value in current.headers.items()},
        query=dict(current.query_params or {}),
        path=path,
        body=current.raw_body or b"",
        source_ip=current.context["identity"]["sourceIp"],
        received_at=received_at,
    )


def _answer(request: Request, route: Route) -> Answer:
    """The route's answer; every error becomes HTTP here and nowhere else."""
    try:
        return route.answer(request)
    except Refused as refused:
        return refusal(refused, request.language)
    except Retryable as fault:
        log.warning("not done, the sender may try again", extra={"route": route.path, "fault": str(fault)})
        return Answer(503, {"error": "Try again in a moment", "code": "unavailable"}, {"Retry-After": "1"})
    except Exception as fault:  # noqa: BLE001 - the last door: whatever it is, the sender gets JSON and the log the place
        place = traceback.extract_tb(fault.__traceback__)[-1]
        log.error("unexpected error", extra={"route": route.path, "fault": type(fault).__name__, "at": f"{place.filename}:{place.lineno}"})
        return Answer(500, {"error": "Internal error", "code": "internal"})


def _response(answer: Answer) -> Response:
    body = answer.body if isinstance(answer.body, str) else to_json(answer.body)
    headers: dict[str, str | list[str]] = {"Content-Type": "application/json", **answer.headers}
    return Response(body=body, status_code=answer.status, headers=headers)
