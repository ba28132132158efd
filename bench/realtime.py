"""From an event to the last of two hundred subscribers, next to as many bare calls of the management API."""

import asyncio
import json
import logging
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import aiohttp

from bench.harness import BenchEnvironment, Figure, at_most, interleaved
from bench.harness.interleaved import Interleaved
from chalicelib import aws
from chalicelib.events import outbox
from chalicelib.events.models import Event, user_stream
from chalicelib.realtime.post import THREADS
from infra.stack import ROOT

BUDGET_S = 90

_SUBSCRIBERS = 200
_ROUNDS = 15
_AT_ONCE = 10
_PATIENCE_S = 60


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures one user's subscribers, at the cloud's WebSocket API, without the front door."""
    logging.disable(logging.WARNING)
    _ = bench_environment.stack
    turns = asyncio.run(_measured(bench_environment))
    yield Figure(
        "fan-out to subscribers",
        f"From the change to the last of {_SUBSCRIBERS} WebSocket connections that get its event.",
        turns.ours,
        "ms",
        baseline=turns.baseline,
        floor_is=f"{_SUBSCRIBERS} calls of PostToConnection by a bare boto3 script, {THREADS} at once",
        ratio=turns.ratio,
        limit=at_most(1.3),
        grows="with the connections that get the event, one call each; "
        "simultaneous events share a call if the client permits it.",
    )


async def _measured(bench_environment: BenchEnvironment) -> Interleaved:
    url = next(iter(json.loads(bench_environment.place.front_door.read_text())["websockets"].values()))
    user_id = bench_environment.env["TRADEHOOK_DEMO_USER_ID"]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        screens = _Screens()
        address = f"{url}?token={bench_environment.env['TRADEHOOK_USER_TOKEN']}&after=last"
        for _ in range(_SUBSCRIBERS // _AT_ONCE):
            sockets = await asyncio.gather(
                *(session.ws_connect(address, max_msg_size=0) for _ in range(_AT_ONCE))
            )
            for socket in sockets:
                screens.watch(socket)
        await screens.all_heard("resumed")
        connections = await asyncio.to_thread(_connections, user_id)
        loop = asyncio.get_running_loop()
        with _poster(url.replace("ws", "http", 1), connections) as poster:

            def ours() -> float:
                one, began = uuid.uuid4().hex, time.perf_counter()
                aws.write(outbox.event_write(_event(one, user_id)))
                return (
                    asyncio.run_coroutine_threadsafe(screens.all_heard(one), loop).result(_PATIENCE_S) - began
                ) * 1000

            def baseline() -> float:
                one, began = uuid.uuid4().hex, time.perf_counter()
                assert poster.stdin
                poster.stdin.write(json.dumps({"type": "order.filled", "payload": {"once": one}}) + "\n")
                poster.stdin.flush()
                return (
                    asyncio.run_coroutine_threadsafe(screens.all_heard(one), loop).result(_PATIENCE_S) - began
                ) * 1000

            try:
                return await asyncio.to_thread(
                    lambda: interleaved(
                        ours, baseline, rounds=_ROUNDS, warm_up=2, until=bench_environment.ends_at
                    )
                )
            finally:
                assert poster.stdin
                poster.stdin.close()
                await screens.close()


def _connections(user_id: str) -> list[str]:
    items = aws.query_all("connections", "#stream = :stream", index="by_stream", stream=user_stream(user_id))
    return [str(item["connection_id"]) for item in items]


def _event(once: str, user_id: str) -> Event:
    return Event(
        event_id=once,
        type="bench.sent",
        payload={"once": once},
        entity=f"bench#{once}",
        user_id=user_id,
        created_at=datetime.now(UTC),
    )


def _poster(endpoint: str, connections: list[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench.harness.poster", endpoint]
    poster = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=ROOT)
    assert poster.stdin
    poster.stdin.write(json.dumps(connections) + "\n")
    poster.stdin.flush()
    return poster


class _Screens:
    """The subscribers' messages: the number per event, and the time of the last one."""

    def __init__(self) -> None:
        self._listening: list[asyncio.Task[None]] = []
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._count: dict[str, int] = {}
        self._complete: dict[str, asyncio.Future[float]] = {}

    def watch(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Listens to one more connection."""
        self._sockets.append(socket)
        self._listening.append(asyncio.create_task(self._listen(socket)))

    async def all_heard(self, once: str) -> float:
        """Returns when the last of them had the event, on the performance counter."""
        return await asyncio.wait_for(self._completion(once), _PATIENCE_S)

    async def close(self) -> None:
        """Closes them all."""
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*(socket.close() for socket in self._sockets), return_exceptions=True)

    def _completion(self, once: str) -> "asyncio.Future[float]":
        return self._complete.setdefault(once, asyncio.get_running_loop().create_future())

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            heard = json.loads(message.data)
            once = heard["type"] if heard["type"] == "resumed" else heard.get("payload", {}).get("once")
            if once is None:
                continue
            self._count[once] = self._count.get(once, 0) + 1
            if self._count[once] == _SUBSCRIBERS:
                self._completion(once).set_result(time.perf_counter())
