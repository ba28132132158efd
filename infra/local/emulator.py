"""The emulated cloud's process: ministack with seven changes. Its own interpreter runs this file.

No module imports it.

- Artifact: ministack unpacks it for each process of each function, and blocks all other requests during that
  time. Here it is unpacked once, and all processes share it, read only as in AWS.
- WebSocket events: ministack sends all events of a function to one process, so five hundred clients wait for
  each other. In AWS each event has an execution environment to itself. Here a few processes share the events.
- Event sources: ministack has one thread for requests and for event sources. In AWS they are independent.
  Here the event sources pause for a moment while requests queue at the front door.
- Logs: ministack delays a function's answer by 50 ms without a log line and by 5 ms with one, to wait for
  more lines, and rests for 50 ms after an empty poll. In AWS no answer waits for logs. Here the pauses are as
  short as possible, and later log lines come with the next answer.
- Policies and duplicates: ministack reads the caller's policies twice per call, and checks all deduplication
  ids of the last five minutes with every message. Here a policy is read once, and only expired ids are
  checked.
- State: ministack keeps it in memory. Here every change is on disk before the answer leaves
  (durable_state.py).
- Web pages: ministack answers every page, and every caller is root. Here loopback_guard.py refuses pages.
"""

import os
import tempfile
import time
import zipfile
from functools import lru_cache, partialmethod
from pathlib import Path
from threading import BoundedSemaphore, Lock
from types import SimpleNamespace
from typing import Any

import durable_state
from loopback_guard import CloudGuard
from ministack import app as ministack_app
from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import apigateway_v1, lambda_svc, sns, sqs

_AT_ONCE = 3  # more would only take turns on two processors
_FIRST_LINE_S, _NEXT_LINE_S = 0.002, 0.001
_BETWEEN_LOOKS_S = 0.005


class _Environments:
    """Replaces ministack's single worker: takes a free worker for each event."""

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
    """Replaces ministack's unpacking of a function's code."""

    _one_at_a_time = Lock()

    def extractall(self, path: str) -> None:  # type: ignore[override]  # ministack gives nothing but the path
        """Makes `path`, an empty directory, a link to the unpacked code.

        The zip itself is no longer needed.
        """
        content = hash(tuple((entry.filename, entry.CRC) for entry in self.infolist()))
        shared = Path(tempfile.gettempdir(), f"code-{content:x}")
        with self._one_at_a_time:
            if not shared.exists():
                unfinished = tempfile.mkdtemp(prefix="unpacking-")
                super().extractall(unfinished)
                Path(unfinished).rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)
        Path(str(self.filename)).unlink()


class _StandBack:
    """Delays the queues while requests queue at the front door, which marks such requests."""

    _MARK = "x-local-busy"
    _BETWEEN_S = 0.05  # from one request's end to the start of the next
    _AT_MOST_S = 2.5
    _THEN_NOT_FOR_S = 5.0  # so that an endless stream of requests does not stop the orders

    def __init__(self) -> None:
        self._invoke = apigateway_v1._call_lambda_raw
        self._poll = lambda_svc._poll_sqs
        self._inside = 0
        self._crowded_until = 0.0
        self._not_before = 0.0

    async def invoke(self, function: Any, event: dict[str, Any], **options: Any) -> Any:
        """Invokes a function for a request."""
        if not any(name.lower() == self._MARK for name in event.get("headers") or {}):
            return await self._invoke(function, event, **options)
        self._inside += 1
        try:
            return await self._invoke(function, event, **options)
        finally:
            self._inside -= 1
            self._crowded_until = time.monotonic() + self._BETWEEN_S

    def poll(self) -> bool:
        """Polls the queues after the busy time, or after its limit.

        Returns whether the queues had messages.
        """
        began = time.monotonic()
        while began > self._not_before and (self._inside or time.monotonic() < self._crowded_until):
            if time.monotonic() - began > self._AT_MOST_S:
                self._not_before = time.monotonic() + self._THEN_NOT_FOR_S
                break
            time.sleep(self._BETWEEN_S)
        return bool(self._poll())


def _forget_duplicates(queue: dict[str, Any]) -> None:
    """Drops the expired deduplication ids of a queue or a topic.

    All are kept equally long, so the oldest stand first.
    """
    taken, now = queue.setdefault("dedup_cache", {}), time.time()
    while taken and taken[oldest := next(iter(taken))]["expire"] <= now:
        del taken[oldest]


_read_policy = iam_evaluator.parse_policy_document
_read_text = lru_cache(maxsize=None)(_read_policy)


def _policy(document: str | dict[str, Any]) -> Any:
    """Returns a policy's statements. Callers only read them."""
    return _read_text(document) if isinstance(document, str) else _read_policy(document)


iam_evaluator.parse_policy_document = _policy
sns._prune_sns_dedup = sqs._prune_dedup = _forget_duplicates
_stand_back = _StandBack()
apigateway_v1._call_lambda_raw = _stand_back.invoke
lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS = _BETWEEN_LOOKS_S
lambda_runtime.Worker._drain_stderr_bounded = partialmethod(
    lambda_runtime.Worker._drain_stderr_bounded, first_line_wait=_FIRST_LINE_S, idle_confirm=_NEXT_LINE_S
)
lambda_svc._poll_sqs = _stand_back.poll
lambda_runtime.zipfile = SimpleNamespace(**vars(zipfile) | {"ZipFile": _Artifact})
lambda_runtime.get_or_create_worker = _Environments
ministack_app.app = CloudGuard(durable_state.install(ministack_app.app), int(os.environ["GATEWAY_PORT"]))
ministack_app.main()
