"""`tradehook tail` against a WebSocket server of its own."""

import json
from threading import Thread

import pytest
from websockets.sync.server import serve

from tradehook import tail

pytestmark = pytest.mark.cloud


def event(sequence, type_="order.filled"):
    return json.dumps(
        {
            "type": type_,
            "payload": {"order_id": str(sequence)},
            "timestamp": "2026-01-01T00:00:00",
            "sequence": sequence,
        }
    )


@pytest.fixture
def server():
    """Sends events 1 to 3 and breaks off. A client that resumes gets the later ones.

    `heard` has the clients' messages, `paths` their request paths.
    """
    heard, paths = [], []

    def handle(socket):
        paths.append(socket.request.path)
        socket.send(
            '{"type": "connection", "status": "connected", "message": "WebSocket connection established"}'
        )
        if len(paths) == 1:
            for sequence in (1, 2, 3):
                socket.send(event(sequence, "user.created" if sequence == 2 else "order.filled"))
            return
        heard.append(json.loads(socket.recv()))
        for sequence in range(heard[-1]["after"] + 1, 10):
            socket.send(event(sequence))

    with serve(handle, "127.0.0.1", 0) as running:
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        running.heard, running.paths = heard, paths
        yield running
        running.shutdown()
        thread.join(5)


def test_tail_goes_on_where_it_was(run, server, monkeypatch):
    """After a broken connection the events of the requested type continue without a gap."""
    monkeypatch.setattr(tail, "_RETRY_S", (0, 0, 0))
    monkeypatch.setenv("TRADEHOOK_ADMIN_TOKEN", "api_1_x+y")
    url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/ws"
    ended = run("tail", "--ws-url", url, "--type", "order.*", "--most", "4", "--json")
    assert ended.code == 0, ended.err
    assert [json.loads(line)["sequence"] for line in ended.out.splitlines()] == [1, 3, 4, 5]
    assert server.heard == [{"type": "resume", "after": 3}]
    assert server.paths[0] == "/ws?token=api_1_x%2By"


def test_tail_without_a_server(run, monkeypatch):
    """A server that is not there ends in a sentence without the token."""
    monkeypatch.setattr(tail, "_RETRY_S", (0,))
    monkeypatch.setenv("TRADEHOOK_ADMIN_TOKEN", "api_1_secret")
    ended = run("tail", "--ws-url", "ws://127.0.0.1:9/ws")
    assert ended.code == 1
    assert "api_1_secret" not in ended.err


def test_url_of_the_websocket_follows_the_apis():
    """By default the WebSocket is /ws under the API's host."""
    assert tail._default_url("https://api.example.com") == "wss://api.example.com/ws"
    assert tail._default_url("http://localhost:8080") == "ws://localhost:8080/ws"
