"""The front door.

Serves the public URLs on loopback in front of the local cloud, as a custom domain does in AWS.

It passes only routes that Chalice knows, because behind it every caller is root. It sets the caller's address
and the request's time, whatever the client claims. Only the proxy of `public_address` may name another
client. It limits the concurrent requests per function, because the emulator would start a process for each.
"""

import json
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from infra.local import loopback_guard, sign_in
from infra.local.admission import OVER_S, AdmissionControl
from infra.local.paths import HOST, LocalStackPaths
from infra.local.public_address import PublicAddressFile, client_address
from infra.local.routes import Routes
from infra.local.websocket_proxy import pass_through

BODY_LIMIT = 2 * 1024 * 1024
# API Gateway ends a request after 29 s. A little more here, so that the gateway answers first. Queueing does
# not count.
_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=35)

_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
# Only the front door, the gateway or the emulator may set these headers.
_INTERNAL = {
    "host",
    "content-length",
    "forwarded",
    "via",
    "x-real-ip",
    "x-request-start",
    "x-original-host",
    "x-api-key",
    "origin",
}
_INTERNAL_STARTS = (
    "x-forwarded-",
    "x-amz-",
    "x-amzn-",
    "x-ministack-",
    "x-local-",
    "x-localstack-",
    "sec-websocket-",
    "sec-fetch-",
)

_PLACE = web.AppKey("place", LocalStackPaths)
_SESSION = web.AppKey("session", aiohttp.ClientSession)
_PUBLIC = web.AppKey("public", PublicAddressFile)
_ROUTES = web.AppKey("routes", Routes)
_ADMISSIONS = web.AppKey("gates", defaultdict[str, AdmissionControl])


def application(place: LocalStackPaths) -> web.Application:
    """Returns the front door of a local stack."""
    app = web.Application(client_max_size=BODY_LIMIT)
    app[_PLACE] = place
    app[_PUBLIC] = PublicAddressFile(place.public_address)
    app[_ROUTES] = Routes(place.front_door)
    app[_ADMISSIONS] = defaultdict(AdmissionControl)
    app.cleanup_ctx.append(_session)
    app.on_response_prepare.append(_guard_headers)
    app.router.add_route("*", sign_in.PATH, _sign_in)
    app.router.add_route("*", r"/{path:[\s\S]*}", _answer)  # a path may hold an encoded line break
    return app


async def _guard_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Sets the headers of every answer, also without a function, and hides the servers' versions."""
    response.headers.popall("Server", None)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")


async def _session(app: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=_PATIENCE, auto_decompress=False
    ) as session:
        app[_SESSION] = session
        yield


async def _answer(request: web.Request) -> web.StreamResponse:
    """Passes the request and the answer on. Answers an error if that fails."""
    arrived = time.time()
    if refused := _check_request(request):
        return refused
    try:
        return await _pass(request, _headers(request), arrived)
    except web.HTTPRequestEntityTooLarge:
        return _refusal(413, "too_large", "The body is too large")
    except TimeoutError:
        return _refusal(503, "unavailable", "Try again in a moment", {"Retry-After": "1"})
    except aiohttp.ClientConnectorError:
        return _refusal(503, "unavailable", "The local cloud is not running", {"Retry-After": "2"})
    except aiohttp.ClientError as error:
        return _refusal(502, "bad_gateway", f"The local cloud broke off: {type(error).__name__}")


async def _sign_in(request: web.Request) -> web.StreamResponse:
    """Exchanges the code of a one-time link for a token, for this machine alone.

    A request that a proxy forwarded finds no such route.
    """
    if refused := _check_request(request):
        return refused
    if _headers(request)["X-Forwarded-For"] != request.remote:
        return _refusal(404, "unknown_route", "There is no such route")
    if request.method != "POST":
        return _refusal(405, "method_not_allowed", "This path takes POST", {"Allow": "POST"})
    try:
        code = json.loads(await request.read())["code"]
    except (ValueError, KeyError, TypeError):
        return _refusal(400, "missing_field", "code is missing")
    token = sign_in.redeem(request.app[_PLACE], code) if isinstance(code, str) else None
    if token is None:
        return _refusal(401, "link_used", "This link was used or has expired. `make up` prints a new one")
    return web.json_response({"token": token})


async def _pass(request: web.Request, headers: CIMultiDict[str], arrived: float) -> web.StreamResponse:
    routes = request.app[_ROUTES]
    routes.refresh()
    path = request.rel_url.raw_path
    if path in routes.websockets:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return _refusal(426, "upgrade_required", "This is a WebSocket", {"Upgrade": "websocket"})
        url = URL(f"{routes.websockets[path]}?{request.rel_url.raw_query_string}", encoded=True)
        return await pass_through(request, request.app[_SESSION], url, headers)
    function = routes.function("GET" if request.method == "HEAD" else request.method, path)
    if function is None and (allowed := ", ".join(routes.allowed(path))):
        error = f"This path does not take {request.method}. It takes {allowed}"
        return _refusal(405, "method_not_allowed", error, {"Allow": allowed})
    if function is None:
        return _refusal(404, "unknown_route", "There is no such route")
    body = await request.read()
    async with request.app[_ADMISSIONS][function].enter() as deadline_shift:
        headers["X-Request-Start"] = f"t={arrived - deadline_shift:.3f}"
        if deadline_shift == OVER_S:
            headers["X-Local-Busy"] = "1"  # see emulator.py
        return await _forward(request, f"{routes.http}{request.rel_url.raw_path_qs}", headers, body)


async def _forward(request: web.Request, url: str, headers: CIMultiDict[str], body: bytes) -> web.Response:
    async with request.app[_SESSION].request(
        "GET" if request.method == "HEAD" else request.method,
        URL(url, encoded=True),
        headers=headers,
        data=body or None,
        allow_redirects=False,
        skip_auto_headers=("User-Agent", "Accept", "Content-Type"),  # headers left out stay out
    ) as answer:
        kept_back = _HOP_BY_HOP | {"content-length", "server"}
        passed = ((name, value) for name, value in answer.headers.items() if name.lower() not in kept_back)
        return web.Response(status=answer.status, headers=CIMultiDict(passed), body=await answer.read())


def _headers(request: web.Request) -> CIMultiDict[str]:
    """Returns the client's headers, without reserved ones, plus ours."""
    headers = CIMultiDict(
        (name, value)
        for name, value in request.headers.items()
        if name.lower() not in _HOP_BY_HOP | _INTERNAL and not name.lower().startswith(_INTERNAL_STARTS)
    )
    public = request.app[_PUBLIC].current
    given = {name.lower(): value for name, value in request.headers.items()}
    headers["X-Forwarded-For"] = client_address(given, request.remote or HOST, public)
    headers["X-Forwarded-Proto"] = (
        "https" if public and given.get("host", "").lower() == public.host else "http"
    )
    headers["X-Forwarded-Port"] = str(request.app[_PLACE].port)
    return headers


def _check_request(request: web.Request) -> web.Response | None:
    """Returns the refusal of a request with another host, a foreign origin or an encoded body.

    None if the request may go on.
    """
    allowed = _own_hosts(request)
    public = request.app[_PUBLIC].current
    headers = {name.lower(): value for name, value in request.headers.items()}
    if public and headers.get("origin", "").lower() == public.url:
        del headers["origin"]  # the dashboard, opened at the public URL
    if loopback_guard.foreign_host(headers, allowed | {public.host} if public else allowed):
        return _refusal(403, "foreign_host", "This is not the requested host")
    reads = request.method in loopback_guard.READS and headers.get("upgrade", "").lower() != "websocket"
    if not reads and loopback_guard.foreign_origin(headers, allowed):
        return _refusal(403, "foreign_origin", "Pages of other sites may not do this")
    if headers.get("content-encoding", "identity").lower() != "identity":
        return _refusal(415, "unsupported_encoding", "Bodies must have no Content-Encoding")
    return None


def _own_hosts(request: web.Request) -> frozenset[str]:
    """Returns the hosts of the front door itself.

    They are the configured port and the port of the request's socket, which tests choose.
    """
    listening = request.transport.get_extra_info("sockname") if request.transport else None
    ports = {request.app[_PLACE].port, *([listening[1]] if listening else [])}
    named = loopback_guard.hosts(*ports)
    return named | {host.rpartition(":")[0] for host in named if host.endswith(":80")}


def _refusal(status: int, code: str, error: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": error, "code": code}, status=status, headers=headers)


def main() -> None:
    """Serves until a signal stops it."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    place = LocalStackPaths.here()
    web.run_app(
        application(place),
        host=HOST,
        port=place.port,
        print=None,
        access_log=None,
        shutdown_timeout=2,
        backlog=1024,
    )


if __name__ == "__main__":
    main()
