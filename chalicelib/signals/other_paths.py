"""Handles every path without a route of its own: other spellings of webhooks, and unknown paths.

A trailing slash and the case of a webhook's path are ignored. An unknown path below a webhook is logged as a
request to a webhook, because the sender probably meant to trade. API Gateway also sends unsupported methods
of webhooks to this route.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from chalicelib.errors import NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.signals.accept import refuse

CATCH_ALL = "/{rest+}"

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MOVED = {"/favicon.ico": "dashboard/icon.svg"}
"""Where a browser finds what it asks for. Relative, because a stage's name may stand in front."""
_BESIDE_REFERENCE = re.compile(r"/docs(/dashboard/[\w.-]+(?:/[\w.-]+)?)", re.ASCII)
"""From `/docs/` with a slash, the browser resolves the page's relative addresses to here."""
_LONGEST_SHOWN = 128  # characters of a path in log and event
_BELOW_WEBHOOKS = re.compile(r"/(?:webhook|xc|personal|api/webhook)(?:/.*)?", re.IGNORECASE | re.DOTALL)


def other_paths(routes: Sequence[Route]) -> list[Route]:
    """Returns the routes of all other paths. They find the paths of `routes` in other spellings."""
    patterns = [(route, _pattern(route.path)) for route in routes]

    def answer(request: Request) -> Answer:
        path = "/" + request.path.get("rest", "").strip("/")
        if request.method == "GET" and path in _MOVED:
            return Answer(308, "", {"Location": _MOVED[path]})
        if request.method == "GET" and (beside := _BESIDE_REFERENCE.fullmatch(path)):
            return Answer(308, "", {"Location": "../" * (path.count("/") - 1) + beside[1].removeprefix("/")})
        for route, pattern in patterns:
            if route.method == request.method and (found := pattern.fullmatch(path)):
                return route.answer(replace(request, route=route.path, path=found.groupdict()))
        refusal = NotFound("unknown_route")
        if _BELOW_WEBHOOKS.fullmatch(path):
            refuse(replace(request, route=path[:_LONGEST_SHOWN]), refusal)
        raise refusal

    return [Route(method, CATCH_ALL, answer) for method in _METHODS]


def _pattern(path: str) -> re.Pattern[str]:
    """Returns a pattern of a path in any case. Its parameters are case-sensitive."""
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path), re.IGNORECASE)
