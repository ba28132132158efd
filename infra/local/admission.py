"""How many requests a function gets at once, and how long they may stay.

The emulator starts a process for every request that finds none idle, on a machine with few cores; and a
webhook that waits for its order's result keeps its place while it waits. So there are few places, another one
is made only when nobody has left for a
while, and a request that others stand behind is told that its time for waiting is over: it is answered 202 as
soon as it is accepted.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_FIRST = 2
"""As many as there are cores.

More of them at once are no faster, and a process takes half a second of a core to start.
"""

AT_ONCE = 6
SLOW_SLOTS = 2
"""So many may wait for their results at length; those beside them only shortly."""

SHORT_WAIT_S = 2.0
OVER_S = 30.0

_A_LOOK_S = 0.02
_STUCK_S = 0.25
_STARTING_S = 1.5
"""After a pause the first processes may have to start, and each further one beside them only makes it longer."""


class AdmissionControl:
    """The gate of one function."""

    def __init__(self) -> None:
        self._inside = 0
        self._outside = 0
        self._left = -math.inf
        self._begin()

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[float]:
        """Waits for a place. Gives the seconds by which the request shall count as older than it is."""
        if not self._inside and not self._outside:
            self._begin()
        self._outside += 1
        try:
            await self._place()
        finally:
            self._outside -= 1
        self._inside += 1
        try:
            if self._left == -math.inf or (self._inside > 1 and time.monotonic() - self._since < _A_LOOK_S):
                await asyncio.sleep(
                    _A_LOOK_S
                )  # the first ones of a burst cannot know yet that others come behind them
            yield self._deadline_shift()
        finally:
            self._inside -= 1
            self._left = time.monotonic()
            self._places.release()

    def _begin(self) -> None:
        """After a pause, in which the processes may have ended, there are as few places as at first."""
        self._began = self._since = time.monotonic()
        self._open = AT_FIRST
        self._places = asyncio.Semaphore(self._open)

    async def _place(self) -> None:
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
