"""How many requests a function gets at once.

The emulator starts a process for every request that finds none idle. So a function begins with one request at a time, which is
one process to start instead of several that slow each other down; every few answers let in one more. A request that takes
long does so too: it may be waiting for something that another request brings about.
"""

import asyncio

AT_ONCE = 4
_ANSWERS_PER_STEP = 10
_LONG_S = 1.0


class Gate:
    """An asynchronous context manager that admits few at first and `AT_ONCE` in the end; the others queue."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(1)
        self._width = 1
        self._answered = 0
        self._timers: dict[asyncio.Task[object] | None, asyncio.TimerHandle] = {}

    async def __aenter__(self) -> None:
        await self._free.acquire()
        self._timers[asyncio.current_task()] = asyncio.get_running_loop().call_later(_LONG_S, self._widen)

    async def __aexit__(self, *_: object) -> None:
        self._timers.pop(asyncio.current_task()).cancel()
        self._answered += 1
        if self._answered >= self._width * _ANSWERS_PER_STEP:
            self._widen()
        self._free.release()

    def _widen(self) -> None:
        if self._width < AT_ONCE:
            self._width += 1
            self._free.release()
