"""A proxy between the functions and the emulated AWS.

It passes calls on, and makes some of them fail like AWS or the network.
"""

import asyncio
import random
from collections import Counter

import aiohttp
from aiohttp import web

_KINDS = ("refused", "reset before", "reset after", "slow")
_SLOW_S = 1.5


class FaultyCloud:
    """A proxy in front of the cloud.

    Attributes:
        rate: The share of calls with a fault. 0 passes all of them on.
        met: Faults so far, by service and kind.
    """

    def __init__(self, cloud_url: str, dice: random.Random) -> None:
        self.rate = 0.0
        self.met: Counter[str] = Counter()
        self._cloud_url = cloud_url
        self._dice = dice
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self, host: str, port: int) -> str:
        """Listens and returns its URL."""
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stops."""
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await request.read()
        except ConnectionResetError:  # the function was killed during its call
            return self._reset(request)
        kind = self._dice.choice(_KINDS) if self._dice.random() < self.rate else None
        if kind:
            self.met[f"{_service(request)}, {kind}"] += 1
        if kind == "refused":
            return web.Response(status=503)
        if kind == "reset before":
            return self._reset(request)
        if kind == "slow":
            await asyncio.sleep(_SLOW_S)
        assert self._session
        url, headers = self._cloud_url + request.path_qs, _passed_on(request)
        async with self._session.request(request.method, url, headers=headers, data=body) as answer:
            passed = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() not in {"transfer-encoding", "content-length"}
            }
            response = web.Response(status=answer.status, headers=passed, body=await answer.read())
        return self._reset(request) if kind == "reset after" else response

    def _reset(self, request: web.Request) -> web.StreamResponse:
        if request.transport:
            request.transport.abort()
        return web.Response()


def _passed_on(request: web.Request) -> dict[str, str]:
    """Returns the headers without `Host`: the cloud serves only requests for itself."""
    return {name: value for name, value in request.headers.items() if name.lower() != "host"}


def _service(request: web.Request) -> str:
    """Returns the service in the credential scope: .../20260101/us-east-1/dynamodb/aws4_request."""
    parts = request.headers.get("Authorization", "").split("/")
    return parts[3] if len(parts) > 3 else "unsigned"
