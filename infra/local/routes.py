"""Which function answers a method and path, according to the last deployment."""

import json
import re
from pathlib import Path

_REST = ".+"  # the pattern of `{rest+}`


class Routes:
    """The routes in the deployment's file, read again after every change.

    Attributes:
        http: The REST API's URL.
        websockets: Each WebSocket API's URL by its public path.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._routes: list[tuple[str, re.Pattern[str], str]] = []
        self.http = ""
        self.websockets: dict[str, str] = {}

    def refresh(self) -> None:
        """Reads the file if it has changed."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return
        if self._seen != (status.st_mtime_ns, status.st_ino):
            content = json.loads(self._file.read_text())
            self.http, self.websockets = content["http"], content["websockets"]
            # A plain segment wins over a parameter, a parameter over `{rest+}`. Sorted with braces last, and
            # greedy ones after them, the paths are in that order.
            listed = sorted(
                content["routes"],
                key=lambda route: [
                    (part[-2:] == "+}", part[:1] == "{", part) for part in route[1].split("/")
                ],
            )
            self._routes = [(method, _pattern(path), function) for method, path, function in listed]
            self._seen = (status.st_mtime_ns, status.st_ino)

    def function(self, method: str, path: str) -> str | None:
        """Returns the function's name, "" for the gateway's own answers, None without such a route.

        A final slash does not count.
        """
        path = path.rstrip("/") or "/"
        return next(
            (
                function
                for wanted, pattern, function in self._routes
                if wanted in {method, "ANY"} and pattern.fullmatch(path)
            ),
            None,
        )

    def allowed(self, path: str) -> list[str]:
        """Returns the methods that a path takes. Empty for an unknown path. Catch-all routes do not count."""
        path = path.rstrip("/") or "/"
        named = [route for route in self._routes if not route[1].pattern.endswith(_REST)]
        nearest = next((pattern for _, pattern, _ in named if pattern.fullmatch(path)), None)
        return sorted({method for method, pattern, _ in named if pattern == nearest})


def _pattern(path: str) -> re.Pattern[str]:
    def matching(part: str) -> str:
        return _REST if part.endswith("+}") else "[^/]+" if part.startswith("{") else re.escape(part)

    return re.compile("/".join(matching(part) for part in path.split("/")))
