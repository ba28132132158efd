"""The Bot API's stand-in on loopback, in a thread of the test."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from aiohttp import web

from infra.local.telegram_standin import StandIn

TOKEN = "123456:a-token-nobody-may-see"


@contextmanager
def running() -> Iterator[StandIn]:
    """Yields a stand-in that this process's settings point to."""
    stand_in = StandIn(TOKEN)
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(stand_in.app(), access_log=None)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        port = asyncio.run_coroutine_threadsafe(_start(runner), loop).result(10)
        settings = {
            "TRADEHOOK_TELEGRAM_API": f"http://127.0.0.1:{port}",
            "TRADEHOOK_TELEGRAM_BOT_TOKEN": TOKEN,
        }
        with patch.dict("os.environ", settings):
            yield stand_in
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _start(runner: web.AppRunner) -> int:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner.addresses[0][1]
