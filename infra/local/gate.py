"""How many requests a function gets at once, and how long they may stay.

The emulator starts a process for every request that finds none idle, on a machine with few cores; and a webhook that waits for
its order's result keeps its place while it waits. So the gate opens step by step, as processes become warm, and a request that
others stand behind is told that its time for waiting is over: it is answered 202 as soon as it is accepted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_ONCE = 6
AT_LEISURE = 2
"""So many may wait for their results at length; those beside them only shortly."""

HURRIED_S = 2.0
OVER_S = 30.0

_A_LOOK_S = 0.02


class Gate:
    """The gate of one function."""

    def __init__(self) -> None:
        self._open = 1
        self._places = asyncio.Semaphore(self._open)
        self._inside = 0
        self._outside = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[float]:
        """Waits for a place. Gives the seconds by which the request shall count as older than it is."""
        self._outside += 1
        try:
            await self._places.acquire()
        finally:
            self._outside -= 1
        self._inside += 1
        try:
            if self._open == 1:
                await asyncio.sleep(_A_LOOK_S)  # the first one of a burst cannot know yet that others come behind it
            yield self._haste()
            self._widen()
        finally:
            self._inside -= 1
            self._places.release()

    def _haste(self) -> float:
        if self._outside:
            return OVER_S
        return HURRIED_S if self._inside > AT_LEISURE else 0.0

    def _widen(self) -> None:
        if self._open < AT_ONCE:
            self._open += 1
            self._places.release()
