"""The product's realtime code at full rate.

Sockets, clients and functions are real, the tables and the queue are in memory.

The emulated cloud spends some twelve milliseconds of one processor on an event before the first post, and so
cannot show a rate of a hundred a second. Here `handle_realtime` and `push_realtime` run unchanged. The
stand-ins below have connections, event log and message groups. The management API writes to the sockets.
"""

import asyncio
import json
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest.mock import patch

from aiohttp import WSMsgType, web
from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib.errors import Unauthorized
from chalicelib.events.models import ADMIN_STREAM, LoggedEvent
from chalicelib.events.topic import message as topic_message
from chalicelib.realtime import connect, push, queue, store
from chalicelib.realtime import post as posting
from chalicelib.realtime import resume as resuming
from chalicelib.telemetry import log
from chalicelib.users.access import Caller
from chalicelib.users.models import Role
from functions import handle_realtime, push_realtime
from testkit.gateway import CONTEXT

WORKERS = 20  # as many groups at once as stack.yaml lets push_realtime have
BATCH = 10


class Tables:
    """Connections and the event log."""

    def __init__(self) -> None:
        self.connections: dict[str, store.Connection] = {}
        self.log: dict[str, list[LoggedEvent]] = defaultdict(list)
        self.callers: dict[str, Caller] = {}

    def by_token(self, token: str, _now: datetime, _address: str | None = None) -> Caller:
        if token not in self.callers:
            raise Unauthorized("token_wrong")
        return self.callers[token]

    def change(self, connection_id: str, **fields: object) -> None:
        if found := self.connections.get(connection_id):
            self.connections[connection_id] = found.model_copy(update=fields)

    def hearing(self, stream: str, _now: datetime) -> list[store.Connection]:
        return [
            each
            for each in list(self.connections.values())
            if each.stream == stream and each.joined is not None
        ]

    def after(self, stream: str, sequence: int, limit: int) -> Iterator[LoggedEvent]:
        return iter(self.log[stream][sequence : sequence + limit])

    def last(self, stream: str) -> int:
        return len(self.log[stream])


class Queue:
    """A FIFO queue with message groups: one worker for a group at a time, up to ten messages together."""

    def __init__(self) -> None:
        self._groups: dict[str, deque[str]] = defaultdict(deque)
        self._busy: set[str] = set()
        self._pool = ThreadPoolExecutor(WORKERS)
        self._lock = threading.Lock()
        self.failed = 0

    def send(self, message: object, *, group: str, once: str) -> None:
        del once
        self.put(json.dumps(message), group)

    def put(self, body: str, group: str) -> None:
        with self._lock:
            self._groups[group].append(body)
            if group not in self._busy:
                self._busy.add(group)
                self._pool.submit(self._work, group)

    def _work(self, group: str) -> None:
        while True:
            with self._lock:
                waiting = self._groups[group]
                bodies = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
                if not bodies:
                    self._busy.discard(group)
                    return
            records = [
                {"messageId": str(number), "body": body, "attributes": {"MessageGroupId": group}}
                for number, body in enumerate(bodies)
            ]
            answer = push_realtime.handler({"Records": records}, CONTEXT)
            self.failed += len(answer["batchItemFailures"])


class Gateway:
    """The WebSocket API: sockets outside, functions inside, and the management API between them."""

    def __init__(self) -> None:
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._pool = ThreadPoolExecutor(WORKERS)
        self.posts = 0
        self.loop: asyncio.AbstractEventLoop | None = None

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - as boto3 names them
        self.posts += 1
        socket = self._sockets.get(ConnectionId)
        if socket is None:
            raise ClientError({"Error": {"Code": "GoneException"}}, "PostToConnection")
        assert self.loop
        try:
            asyncio.run_coroutine_threadsafe(socket.send_str(Data.decode()), self.loop).result(1)
        except TimeoutError:
            raise ReadTimeoutError(
                endpoint_url="the gateway"
            ) from None  # a full socket: the connection is passed over for a while
        except ConnectionError:
            raise ClientError({"Error": {"Code": "GoneException"}}, "PostToConnection") from None

    def delete_connection(self, *, ConnectionId: str) -> None:  # noqa: N803
        self._sockets.pop(ConnectionId, None)

    async def _invoke(self, event: dict[str, object]) -> int:
        assert self.loop
        return (await self.loop.run_in_executor(self._pool, handle_realtime.handler, event, CONTEXT))[
            "statusCode"
        ]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        connection_id = uuid.uuid4().hex
        context = {"connectionId": connection_id, "identity": {"sourceIp": "127.0.0.1"}}
        opening = {
            "requestContext": context | {"eventType": "CONNECT"},
            "queryStringParameters": dict(request.query),
            "headers": {},
        }
        if (status := await self._invoke(opening)) != 200:
            return web.Response(status=status)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[connection_id] = socket
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._invoke(
                        {"requestContext": context | {"eventType": "MESSAGE"}, "body": message.data}
                    )
        finally:
            self._sockets.pop(connection_id, None)
            await self._invoke({"requestContext": context | {"eventType": "DISCONNECT"}})
        return socket


@contextmanager
def running() -> Iterator[tuple[Tables, Queue, Gateway, str]]:
    """The realtime functions behind a gateway on loopback; gives its address too."""
    tables, messages, gateway = Tables(), Queue(), Gateway()
    stands = [
        patch.object(connect.access, "by_token", tables.by_token),
        patch.object(store, "add", lambda each: tables.connections.update({each.connection_id: each})),
        patch.object(store, "get", tables.connections.get),
        patch.object(store, "remove", lambda connection_id: tables.connections.pop(connection_id, None)),
        patch.object(
            store, "join", lambda connection_id, sequence: tables.change(connection_id, joined=sequence)
        ),
        patch.object(store, "listeners", tables.hearing),
        patch.object(resuming.event_log, "after", tables.after),
        patch.object(resuming.event_log, "last", tables.last),
        patch.object(queue, "_send", messages.send),
        patch.object(posting, "client", lambda: gateway),
        patch.object(posting, "swift_client", lambda: gateway),
        patch.object(push.entitlement, "permitted", list),
    ]
    level = log.log_level
    log.setLevel("WARNING")
    for stand in stands:
        stand.start()
    port: list[int] = []
    up = threading.Event()
    down = asyncio.Event()

    async def main() -> None:
        gateway.loop = asyncio.get_running_loop()
        app = web.Application()
        app.router.add_get("/ws", gateway.serve)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        port.append(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
        up.set()
        await down.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    up.wait(10)
    try:
        yield tables, messages, gateway, f"ws://127.0.0.1:{port[0]}/ws"
    finally:
        assert gateway.loop
        gateway.loop.call_soon_threadsafe(down.set)
        thread.join(20)
        for stand in stands:
            stand.stop()
        log.setLevel(level)


def client(tables: Tables, user_id: str, *, admin: bool = False) -> dict[str, object]:
    """One more client's token and stream."""
    token = f"api_{uuid.uuid4().hex}"
    tables.callers[token] = Caller(user_id, user_id, Role.ADMIN if admin else Role.USER)
    return {"stream": ADMIN_STREAM if admin else user_id, "token": token, "after": 0}


def happen(tables: Tables, messages: Queue, users: list[str], *, rate: int, seconds: int) -> dict[str, int]:
    """Events at an even rate, the users in turn; returns the last sequence of each stream."""
    started = time.monotonic()
    for number in range(rate * seconds):
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        user_id = users[number % len(users)]
        now = datetime.now(UTC)
        for stream in (f"user#{user_id}", ADMIN_STREAM):
            event = LoggedEvent(
                stream=stream,
                sequence=len(tables.log[stream]) + 1,
                event_id=uuid.uuid4().hex,
                type="order.filled",
                payload={"owner": user_id, "n": number, "at": round(now.timestamp() * 1000)},
                entity=f"soak#{number}",
                user_id=user_id,
                timestamp=now,
            )
            tables.log[stream].append(event)
            messages.put(topic_message(event), stream)
    return {stream.removeprefix("user#"): len(events) for stream, events in tables.log.items()}
