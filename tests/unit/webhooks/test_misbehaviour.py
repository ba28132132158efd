"""Receivers that misbehave, over real sockets, while the clock is simulated.

The tests check the delivery's state, and that nothing is lost.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.webhooks.delivery import ssrf_guard
from chalicelib.webhooks.delivery.http_client import WebhookHttpClient
from chalicelib.webhooks.delivery.ssrf_guard import Policy
from chalicelib.webhooks.models import Outcome

from .conftest import World
from .test_http_client import certificate

Behaviour = Callable[[socket.socket], None]
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answers(data: bytes) -> Behaviour:
    """Sends this answer and closes."""
    return lambda peer: peer.sendall(data)


def says_nothing(peer: socket.socket) -> None:
    """Takes the request, and waits for the client to give up."""
    peer.recv(1)


def drips(peer: socket.socket) -> None:
    """Sends a byte now and then, for ever."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        peer.sendall(b"x")
        time.sleep(0.02)


def floods(peer: socket.socket) -> None:
    """Sends a gigabyte."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    for _ in range(16_384):
        peer.sendall(b"x" * 65_536)


@dataclass
class Server:
    """A receiver that behaves as configured and counts requests."""

    port: int
    behave: Behaviour
    requests: int = 0


@contextlib.contextmanager
def serving(behave: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A receiver on loopback, over TLS if there is a context."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1], behave)

        def one(peer: socket.socket) -> None:
            with contextlib.suppress(OSError), contextlib.ExitStack() as open_:
                open_.enter_context(peer)
                talk = open_.enter_context(context.wrap_socket(peer, server_side=True)) if context else peer
                request = b""
                while b"\r\n\r\n" not in request:
                    if not (more := talk.recv(65_536)):
                        return
                    request += more
                head, _, body = request.partition(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                while len(body) < length:
                    body += talk.recv(65_536)
                server.requests += 1
                server.behave(talk)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Case:
    """A receiver's behaviour and its expected outcome.

    The outcome's status and error, and the seconds until the next attempt.
    """

    behave: Behaviour
    status: int | None
    error: str | None
    again_s: int | None = 5


CASES = {
    "fails": Case(answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), 500, "http_500"),
    "times out": Case(says_nothing, None, "timeout"),
    "asks for a pause": Case(
        answers(b"HTTP/1.1 429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"), 429, "http_429", 120
    ),
    "is being mended": Case(
        answers(b"HTTP/1.1 503 Back soon\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n"),
        503,
        "http_503",
        7200,
    ),
    "is gone": Case(answers(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), 410, "http_410", None),
    "redirects": Case(
        answers(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"), 302, "http_302"
    ),
    "redirects for good": Case(
        answers(b"HTTP/1.1 308 Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"),
        308,
        "http_308",
    ),
    "drips": Case(drips, 200, "timeout"),
    "sends a gigabyte": Case(floods, 200, None),
    "closes mid-answer": Case(
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), 200, "connection"
    ),
    "closes at once": Case(answers(b""), None, "connection"),
    "talks nonsense": Case(answers(b"\x16\x03\x01 not http\r\n\r\n"), None, "connection"),
}


@pytest.fixture
def real(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world with attempts over real sockets."""
    monkeypatch.setenv("TRADEHOOK_WEBHOOK_ALLOW_HTTP", "true")
    monkeypatch.setenv("TRADEHOOK_WEBHOOK_ALLOW_LOOPBACK", "true")
    monkeypatch.setattr(ssrf_guard, "resolve", lambda *_: [ipaddress.ip_address("127.0.0.1")])
    return through(world, WebhookHttpClient(Policy.of_deployment(), timeout_s=0.4))


def through(world: World, sender: WebhookHttpClient) -> World:
    """Attempts by this sender."""

    def answer(sent: dict[str, object]) -> Outcome:
        return sender.post(str(sent["url"]), sent["headers"], str(sent["body"]))  # type: ignore[arg-type]

    world.answer = answer
    return world


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_nothing_is_lost_to_a_receiver_that_misbehaves(real: World, case: Case) -> None:
    """Each fault is recorded by name and retried under the same id until the receiver takes it."""
    with serving(case.behave) as server:
        real.subscribe(url=f"http://127.0.0.1:{server.port}/webhook")
        real.publish(real.event())
        real.work()
        [delivery] = real.deliveries()
        assert (delivery.response_status, delivery.error, server.requests) == (case.status, case.error, 1)
        real.check()
        if case.error and case.again_s:
            assert delivery.next_retry_at == real.now + timedelta(seconds=case.again_s)
        elif case.error:
            assert (real.webhook().status, real.counters()["paused"]) == ("disabled", 1)
        server.behave = answers(TAKEN)
        if not real.webhook().is_active:
            real.call("POST", "/webhooks/1/resume")
        real.passes(hours=3)
        assert server.requests == (2 if case.error else 1)
    assert real.counters() == {
        "matched": 1,
        "pending": 0,
        "paused": 0,
        "delivered": 1,
        "dead": 0,
        "failing": 0,
    }
    assert len({sent["id"] for sent in real.sent}) == 1
    assert [attempt.get("error") for attempt in real.attempts()] == (
        [case.error, None] if case.error else [None]
    )


def test_nothing_is_lost_to_a_bad_certificate(real: World, tmp_path: Path) -> None:
    """An untrusted certificate is a failed attempt.

    With a good certificate the delivery goes out.
    """
    pem = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with serving(answers(TAKEN), context) as server:
        real.subscribe(url=f"https://localhost:{server.port}/webhook")
        real.publish(real.event())
        real.work()
        [delivery] = real.deliveries()
        assert (delivery.error, server.requests) == ("tls", 0)
        assert delivery.next_retry_at == real.now + timedelta(seconds=5)
        through(real, WebhookHttpClient(Policy.of_deployment(), timeout_s=2, ca_bundle=str(pem)))
        real.passes(minutes=1)
        assert server.requests == 1
    assert real.counters()["delivered"] == 1


def test_nothing_is_lost_to_a_closed_port(real: World) -> None:
    """A closed port is a failed attempt; once it is open the delivery goes out."""
    with serving(answers(TAKEN)) as server:
        port = server.port
    real.subscribe(url=f"http://127.0.0.1:{port}/webhook")
    real.publish(real.event())
    real.work()
    assert real.deliveries()[0].error == "connection"
    with serving(answers(TAKEN)) as server:
        real.call("PATCH", "/webhooks/1", {"url": f"http://127.0.0.1:{server.port}/webhook"})
        real.passes(minutes=1)
    assert real.counters()["delivered"] == 1


TEXTS = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)
STATUS_LINES = st.one_of(
    st.builds(
        "HTTP/1.1 {} {}".format,
        st.sampled_from([101, 102, 103, 199, 200, 204, 299, 304, 400, 410, 429, 503, 999]),
        TEXTS,
    ),
    st.builds("HTTP/{} {}".format, st.sampled_from(["0.9", "1.0", "1.1", "2", "3.1", ""]), TEXTS),
    TEXTS,
)
HEADERS = st.one_of(
    st.builds("{}: {}".format, TEXTS, TEXTS),
    st.builds(
        "{}: {}".format,
        st.sampled_from(
            [
                "Retry-After",
                "Content-Length",
                "Transfer-Encoding",
                "Content-Type",
                "Content-Encoding",
                "Set-Cookie",
                "Location",
                "Date",
                "",
            ]
        ),
        st.one_of(
            TEXTS,
            st.sampled_from(
                [
                    "0",
                    "-1",
                    "chunked",
                    "gzip",
                    "text/html; charset=\x00",
                    "Mon, 1 Jan 1 0:0:0 +99999999999999",
                ]
            ),
        ),
    ),
    TEXTS,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.lists(HEADERS, max_size=6), STATUS_LINES)
def test_every_attempt_is_recorded_whatever_comes_back(
    real: World, body: bytes, headers: list[str], status_line: str
) -> None:
    """Random status lines, headers and bodies.

    The attempt is in the history, and the delivery is delivered, paused or has its next time.
    """
    head = "\r\n".join([status_line, *headers, "", ""]).encode("latin-1")
    with serving(answers(head + body)) as server:
        webhook_id = real.subscribe(url=f"http://127.0.0.1:{server.port}/webhook")["id"]
        real.publish(real.event())
        real.work()
    [delivery] = [each for each in real.deliveries() if each.webhook_id == webhook_id]
    attempts = [each for each in real.attempts() if each["id"] == delivery.delivery_id]
    assert (delivery.attempts, len(attempts), delivery.claimed_until) == (1, 1, None)
    assert delivery.state in ("delivered", "paused") or delivery.next_retry_at is not None
    real.call("DELETE", f"/webhooks/{webhook_id}")
    real.sqs.waiting.clear()
