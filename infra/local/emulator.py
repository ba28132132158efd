"""The emulated cloud's process: ministack, with one thing mended. Its own interpreter runs this file; nothing imports it.

Ministack hands every WebSocket event of a function to the same one process, one after the other, so that five hundred clients wait for
each other. In AWS each event has an execution environment to itself; here a few have.
"""

from threading import BoundedSemaphore
from typing import Any

from ministack.app import main
from ministack.core import lambda_runtime

_AT_ONCE = 3  # on two processors more would only take turns


class _Environments:
    """Stands where ministack expects one worker, and takes a free one for each event."""

    _places = BoundedSemaphore(_AT_ONCE)

    def __init__(self, *function: Any, **qualifier: Any) -> None:
        self._function = function
        self._qualifier = qualifier

    def invoke(self, *event: Any) -> Any:
        """Invokes the function once."""
        with self._places:
            worker, _ = lambda_runtime.acquire_worker(*self._function, **self._qualifier)
            try:
                return worker.invoke(*event)
            finally:
                lambda_runtime.release_worker(worker)


lambda_runtime.get_or_create_worker = _Environments
main()
