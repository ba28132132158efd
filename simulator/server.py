"""The HTTP server.

Reads a call, applies a fault, passes the call to its exchange, and answers in one write.
"""

import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from simulator.binance import Binance
from simulator.bybit import Bybit
from simulator.control import Control
from simulator.engine import Engine
from simulator.faults import Fault
from simulator.limits import Limits
from simulator.messages import Answer, Request
from simulator.okx import Okx

_HTML = b"<html><body><h1>Please wait</h1></body></html>"


class SimulatorServer(ThreadingHTTPServer):
    """All three exchanges on one port. `start()` serves in a thread, `stop()` ends it."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        super().__init__((host, port), _Handler)
        self.engine, self.limits = Engine(), Limits()
        self.control = Control(self.engine, self.limits)
        self.exchanges = {
            kind.__name__.lower(): kind(self.engine, self.limits) for kind in (Binance, Bybit, Okx)
        }
        # Ends the waits of `timeout` and `slow` when the server stops.
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> "SimulatorServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores a closed connection: it needs no traceback."""


class _Reset(Exception):
    """The connection must be reset."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SimulatorServer

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode() if length else ""
        parts = urlsplit(self.path)
        try:
            answer = (
                self._control(parts, body) if parts.path.startswith("/_sim/") else self._exchange(parts, body)
            )
            self._write(answer)
        except _Reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            # The file objects share the socket. To shut it down first would turn the reset into an orderly
            # end.
            self.connection.close()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  http.server's names

    def _control(self, parts: Any, body: str) -> Answer:
        given = Request("", "", self.command, parts.path, parts.query, {}, body)
        with self.server.engine.lock:
            return self.server.control.handle(
                self.command, parts.path, given.json if body else given.parameters
            )

    def _exchange(self, parts: Any, body: str) -> Answer:
        server = self.server
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = headers.get("x-original-host", headers.get("host", ""))
        name = next((each for each in server.exchanges if each in host), None)
        if name is None:
            return Answer({"error": "X-Original-Host names no exchange"}, 404)
        exchange = server.exchanges[name]
        request = Request(name, host, self.command, parts.path, parts.query, headers, body)
        key = exchange.api_key(request)
        with server.engine.lock:
            fault = server.control.fault(name, self.command, parts.path, key)
            entry = {
                "at": time.time(),
                "exchange": name,
                "host": host,
                "method": self.command,
                "path": parts.path,
                "api_key": key,
                "status": None,
            }
            server.control.requests.append(entry)
        if server.control.latency_s:
            server.stopping.wait(server.control.latency_s)
        if fault is not None and fault.kind == "slow":
            server.stopping.wait(fault.seconds)
            fault = None
        if fault is not None and fault.when == "before":
            return self._fail(fault, exchange, request, entry)
        if fault is not None and fault.when == "late":
            server.stopping.wait(fault.seconds)
        with server.engine.lock:
            answer = exchange.handle(request)
        entry["status"] = answer.status
        return answer if fault is None else self._fail(fault, exchange, request, entry)

    def _fail(self, fault: Fault, exchange: Any, request: Request, entry: dict[str, Any]) -> Answer:
        entry["fault"] = f"{fault.kind} {fault.when}"
        match fault.kind:
            case "timeout":
                self.server.stopping.wait(0 if fault.when == "late" else fault.seconds)
                raise _Reset
            case "reset":
                raise _Reset
            case "429":
                return exchange.too_many(request)
            case "duplicate":
                return exchange.duplicate(request)
            case "html":
                return Answer(_HTML, 200)
            case "answer":
                return Answer(fault.answer["body"], fault.answer.get("status", 200))
            case "empty":
                return Answer(b"", 200)
            case _:
                return Answer(_HTML, int(fault.kind))

    def _write(self, answer: Answer) -> None:
        raw = (
            answer.body
            if isinstance(answer.body, bytes)
            else (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
        )
        kind = "text/html" if isinstance(answer.body, (bytes, str)) else "application/json"
        lines = [
            f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('',))[0]}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(raw)}",
        ]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        # One write: two would wait for each other's acknowledgement, 40 ms per call.
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + raw)

    def log_message(self, *arguments: Any) -> None:
        """Logs nothing: the request log is at /_sim/requests."""
