"""Limits callers of the local servers.

Web pages of other sites are refused, under any name.

A page cannot choose its `Origin`, `Host` and `Sec-Fetch-*` headers, so they tell a page from a tool. The
front door, the stand-in of the Bot API and the emulated cloud use this guard. The cloud's interpreter gets a
copy of this file, so it uses only the standard library.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

READS = ("GET", "HEAD")
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_KEY_IN_HEADER = re.compile(r"Credential=([^/,\s]+)/")
_KEY_IN_QUERY = re.compile(r"(?:^|&)(?:X-Amz-Credential|AWSAccessKeyId)=([^&/%]+)")
_UNSIGNED = ("/_aws/execute-api/", "/_ministack/ready", "/_ministack/health")
_ANYBODYS = re.compile(r"test|\d{12}|")
"""Key ids that ministack takes for root's from any sender."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def hosts(*ports: int) -> frozenset[str]:
    """Returns every `Host` that means these ports of this machine."""
    return frozenset(f"{name}:{port}" for name in _NAMES for port in ports)


def foreign_host(headers: Mapping[str, str], allowed: frozenset[str]) -> bool:
    """Returns whether a request is for another host: a foreign name that resolves to this machine."""
    return headers.get("host", "").lower() not in allowed


def foreign_origin(headers: Mapping[str, str], allowed: frozenset[str]) -> bool:
    """Returns whether a request comes from a page of another site.

    Tools send neither `Origin` nor `Sec-Fetch-Site`.
    """
    origin = headers.get("origin")
    if origin is not None and origin.lower().removeprefix("http://") not in allowed:
        return True
    return origin is None and headers.get("sec-fetch-site", "none").lower() not in ("same-origin", "none")


class CloudGuard:
    """Guards the emulated cloud.

    Refuses every page of a browser. Every call to AWS must name its key.

    Args:
        app: The cloud's ASGI application.
        port: Its port.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], port: int) -> None:
        self._app = app
        self._hosts = hosts(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request or connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif self._refused(scope):
            await _refuse(scope, send)
        else:
            await self._app(scope, receive, _without_cors(send))

    def _refused(self, scope: Scope) -> bool:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        if "origin" in headers or foreign_origin(headers, self._hosts) or foreign_host(headers, self._hosts):
            return True
        return (
            not scope["path"].startswith(_UNSIGNED)
            and _ANYBODYS.fullmatch(_key_id(headers, scope)) is not None
        )


def _key_id(headers: Mapping[str, str], scope: Scope) -> str:
    """Returns the id of the key that signed a request. Empty without one."""
    query = unquote(bytes(scope.get("query_string", b"")).decode("latin-1"))
    found = _KEY_IN_HEADER.search(headers.get("authorization", "")) or _KEY_IN_QUERY.search(query)
    return found.group(1) if found else ""


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send(
        {"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"application/json")]}
    )
    await send({"type": "http.response.body", "body": b'{"error": "Not from here", "code": "forbidden"}'})


def _without_cors(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if "headers" in message:
            kept = [
                pair
                for pair in message["headers"]
                if not bytes(pair[0]).lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": kept}
        await send(message)

    return sending
