"""Every path that no other route has: webhooks in another spelling, and requests that miss one.

A trailing slash and the case of a webhook's path do not matter. What stands below a webhook and is none is
logged like every request to one, because its sender most probably meant to trade. API Gateway gives this
route also the methods that a webhook does not have.
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
_LONGEST_SHOWN = 128  # characters of a path in log and event
_BELOW_WEBHOOKS = re.compile(r"/(?:webhook|xc|personal|api/webhook)(?:/.*)?", re.IGNORECASE | re.DOTALL)


def other_paths(routes: Sequence[Route]) -> list[Route]:
    """The routes of all other paths, among which those of `routes` in another spelling are found."""
    patterns = [(route, _pattern(route.path)) for route in routes]

    def answer(request: Request) -> Answer:
        path = "/" + request.path.get("rest", "").strip("/")
        if request.method == "GET" and path in _MOVED:
            return Answer(308, "", {"Location": _MOVED[path]})
        for route, pattern in patterns:
            if route.method == request.method and (found := pattern.fullmatch(path)):
                return route.answer(replace(request, route=route.path, path=found.groupdict()))
        refusal = NotFound("unknown_route")
        if _BELOW_WEBHOOKS.fullmatch(path):
            refuse(replace(request, route=path[:_LONGEST_SHOWN]), refusal)
        raise refusal

    return [Route(method, CATCH_ALL, answer) for method in _METHODS]


def _pattern(path: str) -> re.Pattern[str]:
    """A path in any case; its parameters are taken to the letter."""
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path), re.IGNORECASE)
