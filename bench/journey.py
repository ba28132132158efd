"""From the signal to the exchange and to the dashboard, next to bare functions with as many hops."""

import asyncio
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import requests

from bench.harness import BenchEnvironment, BenchUser, Figure, interleaved, spread
from bench.harness.bare_functions import BareFunctions
from bench.harness.interleaved import Interleaved
from chalicelib import aws

BUDGET_S = 70

_ROUNDS = 20
_PATIENCE_S = 20


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures warm functions, one signal after the other, each to its end."""
    logging.disable(logging.WARNING)
    with BenchUser(bench_environment, {"binance": 1}) as bench_user:
        wire, screen = asyncio.run(_measured(bench_environment, bench_user))
    yield Figure(
        "signal to wire",
        "From API Gateway to the order's arrival at the exchange.",
        wire.ours,
        "ms",
        baseline=wire.baseline,
        floor_is="bare functions: one writes an item and a message, one asks the exchange twice",
        ratio=wire.ratio,
        grows="with what waits before it on the same account; not with other accounts.",
    )
    yield Figure(
        "signal to dashboard",
        "From API Gateway to the filled order's event on a WebSocket.",
        screen.ours,
        "ms",
        baseline=screen.baseline,
        floor_is="bare functions: the same, then an item, its stream, a topic, a queue and one post",
        ratio=screen.ratio,
        grows="with the events of the same stream before it.",
    )


async def _measured(
    bench_environment: BenchEnvironment, bench_user: BenchUser
) -> tuple[Interleaved, Interleaved]:
    wire_server = _WireServer()
    token = bench_environment.env["TRADEHOOK_ADMIN_TOKEN"]
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{bench_environment.place.ws_url}?token={token}") as socket,
    ):
        welcome = await socket.receive_json(timeout=_PATIENCE_S)
        screen = _Screen(socket)
        listening = asyncio.create_task(screen.listen())
        connection_id = welcome.get("connection_id") or await asyncio.to_thread(_newest_connection)
        bare = await asyncio.to_thread(BareFunctions, bench_environment, wire_server.url, connection_id)
        arrivals: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}

        def ours() -> float:
            arrivals["ours"].append(_ours(bench_environment, bench_user, screen))
            return arrivals["ours"][-1][0]

        def baseline() -> float:
            arrivals["bare"].append(_bare(bare, wire_server, screen))
            return arrivals["bare"][-1][0]

        try:
            wire = await asyncio.to_thread(
                lambda: interleaved(
                    ours, baseline, rounds=_ROUNDS, warm_up=3, until=bench_environment.ends_at - 20
                )
            )
        finally:
            listening.cancel()
            await asyncio.to_thread(bare.remove)
            wire_server.shutdown()
    counted = wire.ours.rounds
    mine, others = ([seen for _, seen in arrivals[who][-counted:]] for who in ("ours", "bare"))
    return wire, Interleaved(
        spread(mine), spread(others), spread(own / other for own, other in zip(mine, others, strict=True))
    )


def _ours(
    bench_environment: BenchEnvironment, bench_user: BenchUser, screen: "_Screen"
) -> tuple[float, float]:
    """Returns the milliseconds to the wire, and to the screen."""
    url = json.loads(bench_environment.place.front_door.read_text())["http"]
    body = bench_user.signal("binance", price="50000")
    began = time.time()
    answer = requests.post(
        f"{url}/api/webhook", json=body, headers={"Prefer": "respond-async"}, timeout=_PATIENCE_S
    )
    assert answer.status_code == 202, answer.text
    seen = screen.seen(answer.json()["signal_id"])
    arrived = next(
        request["at"]
        for request in bench_environment.exchanges.requests()
        if request["at"] > began and request["method"] == "POST" and request["path"].endswith("/order")
    )
    return (arrived - began) * 1000, (seen - began) * 1000


def _bare(bare: BareFunctions, wire: "_WireServer", screen: "_Screen") -> tuple[float, float]:
    one = uuid.uuid4().hex
    began = time.time()
    answer = requests.post(bare.url, json={"id": one}, timeout=_PATIENCE_S)
    assert answer.status_code == 202, answer.text
    seen = screen.seen(one)
    return (wire.arrived[one] - began) * 1000, (seen - began) * 1000


def _newest_connection() -> str:
    items, _ = aws.query_page(
        "connections", "#open = :yes", index="open", newest_first=True, limit=1, yes="1"
    )
    return str(items[0]["connection_id"])


class _Screen:
    """A dashboard: its messages and their times."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._messages: list[tuple[float, str]] = []
        self._more = threading.Condition()

    async def listen(self) -> None:
        """Listens until it is cancelled."""
        async for message in self._socket:
            content: Any = json.loads(message.data)
            if content.get("type") in ("order.filled", "bare"):
                with self._more:
                    self._messages.append((time.time(), message.data))
                    self._more.notify_all()

    def seen(self, word: str) -> float:
        """Returns when a message with that word arrived."""
        with self._more:
            self._more.wait_for(lambda: any(word in text for _, text in self._messages), _PATIENCE_S)
            return next(at for at, text in self._messages if word in text)


class _WireServer:
    """An exchange that answers at once and records the time of each order's request."""

    def __init__(self) -> None:
        arrived = self.arrived = dict[str, float]()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path.startswith("/order/"):
                    arrived[self.path.removeprefix("/order/")] = time.time()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def shutdown(self) -> None:
        """Stops it."""
        self._server.shutdown()
        self._server.server_close()
