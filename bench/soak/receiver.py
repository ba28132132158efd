"""Endpoints of webhook subscribers: one that mostly works, one that is gone."""

import random
from collections import Counter

from aiohttp import web

_FAILS = 0.1


class Receiver:
    """Takes deliveries.

    Attributes:
        taken: How often each delivery was taken, by its id.
        failed: Deliveries whose first attempt failed on purpose. Their second succeeds.
    """

    def __init__(self, dice: random.Random) -> None:
        self.taken: Counter[str] = Counter()
        self.failed: set[str] = set()
        self._dice = dice
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> str:
        """Listens and returns its URL."""
        app = web.Application()
        app.router.add_post("/works", self._work)
        app.router.add_post("/gone", self._gone)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stops."""
        if self._runner:
            await self._runner.cleanup()

    async def _work(self, request: web.Request) -> web.Response:
        delivery = request.headers["webhook-id"]
        if delivery not in self.failed and delivery not in self.taken and self._dice.random() < _FAILS:
            self.failed.add(delivery)
            return web.Response(status=500)
        self.taken[delivery] += 1
        return web.Response()

    async def _gone(self, _: web.Request) -> web.Response:
        return web.Response(status=410)
