"""The emulated cloud's process: ministack, with two things mended. Its own interpreter runs this file; nothing imports it.

Ministack unpacks the artifact for each process of each function, and nobody else is served meanwhile. Here it is unpacked once, and all
processes of all functions share it, read only as in AWS.

Ministack hands every WebSocket event of a function to the same one process, one after the other, so that five hundred clients wait for
each other. In AWS each event has an execution environment to itself; here a few have.
"""

import tempfile
import zipfile
from pathlib import Path
from threading import BoundedSemaphore, Lock
from types import SimpleNamespace
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


class _Artifact(zipfile.ZipFile):
    """Stands where ministack unpacks a function's code."""

    _one_at_a_time = Lock()

    def extractall(self, path: str) -> None:
        """Makes `path`, an empty directory, a link to the unpacked code. The zip itself is not needed any more."""
        content = hash(tuple((entry.filename, entry.CRC) for entry in self.infolist()))
        shared = Path(tempfile.gettempdir(), f"code-{content:x}")
        with self._one_at_a_time:
            if not shared.exists():
                unfinished = tempfile.mkdtemp(prefix="unpacking-")
                super().extractall(unfinished)
                Path(unfinished).rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)
        Path(self.filename).unlink()


lambda_runtime.zipfile = SimpleNamespace(**vars(zipfile) | {"ZipFile": _Artifact})
lambda_runtime.get_or_create_worker = _Environments
main()
