"""Serves the dashboard and the API reference from `web/`. The files contain no secrets.

The data on the pages comes from the API, with the user's token.
"""

import hashlib
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from chalicelib import config
from chalicelib.errors import NotFound
from chalicelib.http import Answer, Request, Route

_WEB = (
    Path(__file__).resolve().parent.parent / "web"
)  # beside this package, in the repository and in the artifact
# Text only: API Gateway would hand out anything else as base64.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_SAFEGUARDS = {
    "Cache-Control": "no-cache",  # revalidated each time (304), so a deployed change is visible at once
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def get_page(request: Request) -> Answer:
    """Returns the dashboard page."""
    return _answer(request, "index.html")


def get_reference(request: Request) -> Answer:
    """Returns the API reference, a page that shows the OpenAPI document."""
    return _answer(request, "docs.html")


def get_root(_: Request) -> Answer:
    """Leads from the root to the dashboard."""
    return Answer(307, "", {"Location": "dashboard", "Content-Type": _TYPES[".html"]})


def get_file(request: Request) -> Answer:
    """Returns a script, style or picture: `{file}`, or `{name}` in the folder `{file}`."""
    name = "/".join(request.path[part] for part in ("file", "name") if part in request.path)
    # At "/dashboard/" with a slash, the browser resolves the page's relative addresses to a path that begins
    # with "dashboard/".
    direct = name.removeprefix("dashboard/")
    if direct != name and direct in _files():
        return Answer(308, "", {"Location": f"../{direct}", "Content-Type": _TYPES[Path(direct).suffix]})
    return _answer(request, name)


def _answer(request: Request, name: str) -> Answer:
    found = _files().get(name)
    if found is None:
        raise NotFound("not_found")
    text, type_, tag = found
    headers = _SAFEGUARDS | {"Content-Type": type_, "ETag": tag, "Content-Security-Policy": _policy()}
    if request.headers.get("if-none-match") == tag:
        return Answer(304, "", headers)
    return Answer(200, text, headers)


@cache
def _policy() -> str:
    """Returns the policy: this origin only, nothing inline. The WebSocket may have its own host name."""
    websocket = urlsplit(config.setting("WS_URL"))
    elsewhere = f" {websocket.scheme}://{websocket.netloc}" if websocket.netloc else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; "
        f"connect-src 'self'{elsewhere}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _files() -> dict[str, tuple[str, str, str]]:
    """Returns every file by its path under `web/`: text, type and entity tag. Read once.

    A path from a request is only a key of this table, so it cannot reach other files.
    """
    found = {}
    for path in sorted(_WEB.rglob("*")):
        if path.is_file() and path.suffix in _TYPES:
            text = path.read_text(encoding="utf-8")
            found[path.relative_to(_WEB).as_posix()] = (
                text,
                _TYPES[path.suffix],
                f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"',
            )
    return found


DASHBOARD = [
    Route("GET", "/", get_root),
    Route("GET", "/docs", get_reference),
    Route("GET", "/dashboard", get_page),
    Route("GET", "/dashboard/{file}", get_file),
    # API Gateway permits one variable name per level, so the folder is named `file` here.
    Route("GET", "/dashboard/{file}/{name}", get_file),
]
