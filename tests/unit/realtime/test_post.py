"""Posts to the management API: what goes over the wire, and what its answers mean."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from botocore.exceptions import ClientError

from chalicelib.realtime import post

AWKWARD = "Lw+/x=~"
_DATE, _SIGNATURE = "X-Amz-Date", re.compile("Signature=([0-9a-f]+)$")


class ManagementApi(BaseHTTPRequestHandler):
    """Records requests, and answers `status`."""

    asked: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []
    status: ClassVar[int] = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, dict(self.headers), body))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    yield
    post.client.cache_clear()
    post.swift_client.cache_clear()
    post._slow.clear()


@pytest.fixture
def api(credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ManagementApi]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ManagementApi) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        point_at(monkeypatch, server.server_port)
        ManagementApi.asked.clear()
        ManagementApi.status = 200
        yield ManagementApi
        server.shutdown()


def point_at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("WEBSOCKET_REALTIME", f"http://127.0.0.1:{port}/live")
    post.client.cache_clear()
    post.swift_client.cache_clear()


def test_as_botocores_client(api: type[ManagementApi]) -> None:
    """In the same second both make the same request, to the signature."""
    for _ in range(20):
        api.asked.clear()
        for client in (post.client(), post.swift_client()):
            client.post_to_connection(ConnectionId=AWKWARD, Data=b'{"a": "\xc3\xa9"}')
        (path, theirs, body), (our_path, ours, our_body) = api.asked
        if theirs[_DATE] == ours[_DATE]:
            break
    assert (our_path, our_body) == (path, body)
    assert theirs[_DATE] == ours[_DATE]
    assert _SIGNATURE.search(ours["Authorization"])
    assert ours["Authorization"] == theirs["Authorization"]
    assert ours["X-Amz-Security-Token"] == "testing"


@pytest.mark.parametrize(("status", "code"), [(410, "GoneException"), (403, "403"), (500, "500")])
def test_refused(api: type[ManagementApi], status: int, code: str) -> None:
    """A gone connection differs from other failures, which are errors, too."""
    api.status = status
    with pytest.raises(ClientError) as refused:
        post.swift_client().post_to_connection(ConnectionId="c", Data=b"{}")
    assert refused.value.response["Error"]["Code"] == code


def test_gone_from_a_crowd(api: type[ManagementApi]) -> None:
    """Those that are gone are named, to be forgotten."""
    api.status = 410
    assert sorted(post.fan_out([("a", [b"{}"]), ("b", [b"{}"])])) == ["a", "b"]


@pytest.mark.parametrize("connections", [["c"], ["c", "d"]], ids=["one", "many"])
def test_hanging_endpoint(credentials: None, monkeypatch: pytest.MonkeyPatch, connections: list[str]) -> None:
    """A post that the management API does not answer is given up after a second, and not tried again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        point_at(monkeypatch, server.getsockname()[1])
        started = time.monotonic()
        assert post.fan_out([(connection, [b"{}", b"{}"]) for connection in connections]) == []
        assert 0.9 < time.monotonic() - started < 3
