"""Handles requests without a route of their own: other spellings of webhooks, wrong methods, unknown paths.

A trailing slash and the case of a webhook's path are ignored. An unknown path below a webhook is logged as a
request to a webhook, because the sender probably meant to trade. API Gateway also sends unsupported methods
of known paths to this route.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from chalicelib.errors import MethodNotAllowed, NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.openapi import subjects
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
        refusal = _refusal(request.method, path)
        if _BELOW_WEBHOOKS.fullmatch(path):
            refuse(replace(request, route=path[:_LONGEST_SHOWN]), refusal)
        raise refusal

    return [Route(method, CATCH_ALL, answer) for method in _METHODS]


def _refusal(method: str, path: str) -> MethodNotAllowed | NotFound:
    """Returns 405 with the path's methods if the path takes other methods. Otherwise 404."""
    allowed = next((methods for pattern, methods in _known_paths() if pattern.fullmatch(path)), [])
    return (
        MethodNotAllowed(method, allowed) if allowed and method not in allowed else NotFound("unknown_route")
    )


@cache
def _known_paths() -> list[tuple[re.Pattern[str], list[str]]]:
    """Returns the pattern and the methods of each documented path. A plain segment comes before a parameter.

    The case of a webhook's path does not matter.
    """
    methods = defaultdict[str, list[str]](list)
    for name in sorted(subjects.docs()):
        method, _, path = name.partition(" ")
        methods[path].append(method)
    paths = sorted(methods, key=lambda path: [part.startswith("{") for part in path.split("/")])
    return [
        (_pattern(path, re.IGNORECASE if _BELOW_WEBHOOKS.fullmatch(path) else 0), methods[path])
        for path in paths
    ]


def _pattern(path: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    """Returns a pattern of a path, in any case by default. Its parameters are case-sensitive."""
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path), flags)
