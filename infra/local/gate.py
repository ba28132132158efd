"""How many requests a function gets at once: the emulator starts a process for every request that finds none idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_ONCE = 4


class Gate:
    """Lets `AT_ONCE` requests through at a time; the others queue."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[float]:
        """Waits for a place. Gives the seconds by which the request shall count as older than it is: none."""
        async with self._free:
            yield 0.0
