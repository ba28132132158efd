"""Limits the concurrent requests of a function, and their waiting time.

The emulator starts a process for every request that finds none idle, on a machine with few cores. A webhook
that waits for its order's result keeps its slot during the wait. So each function has few slots. A slot is
added only after a while without a free one. A request with others queued behind it loses its waiting time and
is answered 202 as soon as it is accepted.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_FIRST = 2
"""The number of cores.

More slots are no faster, and a process takes half a second of a core to start.
"""

AT_ONCE = 6
SLOW_SLOTS = 2
"""The number of slots whose requests may wait long for their results. All others wait shortly."""

SHORT_WAIT_S = 2.0
OVER_S = 30.0

_A_LOOK_S = 0.02
_STUCK_S = 0.25
_STARTING_S = 1.5
"""The start of the first processes after a pause. Each further process makes it longer."""


class AdmissionControl:
    """The admission control of one function."""

    def __init__(self) -> None:
        self._inside = 0
        self._outside = 0
        self._left = -math.inf
        self._begin()

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[float]:
        """Waits for a slot. Yields the seconds by which the request's deadline comes earlier."""
        if not self._inside and not self._outside:
            self._begin()
        self._outside += 1
        try:
            await self._acquire_slot()
        finally:
            self._outside -= 1
        self._inside += 1
        try:
            if self._left == -math.inf or (self._inside > 1 and time.monotonic() - self._since < _A_LOOK_S):
                await asyncio.sleep(
                    _A_LOOK_S
                )  # the first requests of a burst cannot know yet that others follow
            yield self._deadline_shift()
        finally:
            self._inside -= 1
            self._left = time.monotonic()
            self._places.release()

    def _begin(self) -> None:
        """Resets the number of slots after a pause, because idle processes may have ended."""
        self._began = self._since = time.monotonic()
        self._open = AT_FIRST
        self._places = asyncio.Semaphore(self._open)

    async def _acquire_slot(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._places.acquire(), _STUCK_S)
            except TimeoutError:
                if self._open < AT_ONCE and self._stuck():
                    self._open += 1
                    self._since = time.monotonic()
                    self._places.release()
            else:
                return

    def _stuck(self) -> bool:
        starting = self._left < self._began
        return time.monotonic() - max(self._since, self._left) >= (_STARTING_S if starting else _STUCK_S)

    def _deadline_shift(self) -> float:
        if self._outside:
            return OVER_S
        return SHORT_WAIT_S if self._inside > SLOW_SLOTS else 0.0
