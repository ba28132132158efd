"""One attempt over real sockets on loopback, against receivers that misbehave."""

import contextlib
import datetime as dt
import hashlib
import hmac
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.webhooks.delivery import ssrf_guard
from chalicelib.webhooks.delivery.http_client import BODY_LIMIT, WebhookHttpClient
from chalicelib.webhooks.delivery.sign import legacy
from chalicelib.webhooks.delivery.ssrf_guard import Policy
from chalicelib.webhooks.models import canonical

LOCAL = Policy(allow_http=True, allow_loopback=True)
PORTS = iter(range(18450, 18500))


@contextlib.contextmanager
def raw(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request and then behaves as configured."""
    listener, port = _listener()
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                request = b""
                while not request.endswith(b"{}"):
                    request += peer.recv(65536)
                behave(peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/webhook"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(2)


def _listener() -> tuple[socket.socket, int]:
    for port in PORTS:
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port)), port
    raise AssertionError("no port is free")


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """An HTTP server, over TLS if there is a context."""
    for port in PORTS:
        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError:
            continue
        break
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class Receiver(BaseHTTPRequestHandler):
    """The published receiver: verifies by re-serialising, answers 200 or 401."""

    protocol_version = "HTTP/1.1"
    peers: set[Any] = set()  # noqa: RUF012 - shared on purpose

    def do_POST(self) -> None:
        self.peers.add(self.client_address)
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        expected = hmac.new(
            b"your-secret", json.dumps(payload, sort_keys=True).encode(), hashlib.sha256
        ).hexdigest()
        verified = hmac.compare_digest(
            expected, self.headers.get("X-Webhook-Signature", "").replace("sha256=", "")
        )
        body = b'{"status":"ok"}'
        self.send_response(200 if verified else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def sender() -> WebhookHttpClient:
    """A sender that may call loopback, with a timeout that does not hold the tests up."""
    return WebhookHttpClient(LOCAL, timeout_s=0.5)


def test_the_published_receiver_accepts_and_the_connection_is_kept(sender: WebhookHttpClient) -> None:
    """The published receiver verifies what we send, and several deliveries use one connection."""
    Receiver.peers.clear()
    body = canonical({"user_id": 123, "username": "Тест", "referred_by_id": None})
    with serving(Receiver) as port:
        for _ in range(3):
            outcome = sender.post(
                f"http://127.0.0.1:{port}/webhook", {"X-Webhook-Signature": legacy("your-secret", body)}, body
            )
            assert (outcome.status, outcome.error, outcome.response_body) == (200, None, '{"status":"ok"}')
        refused = sender.post(
            f"http://127.0.0.1:{port}/webhook", {"X-Webhook-Signature": legacy("wrong", body)}, body
        )
    assert (refused.status, refused.error) == (401, "http_401")
    assert len(Receiver.peers) == 1


def answering(data: bytes) -> Callable[[socket.socket], None]:
    return lambda peer: peer.sendall(data)


@pytest.mark.parametrize(
    ("data", "status", "error"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            200,
            None,
        ),
        (
            b"HTTP/1.1 102 Processing\r\n\r\n" * 3
            + b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            204,
            None,
        ),
        (b"HTTP/1.1 199 Hm\r\n\r\nHTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", 410, "http_410"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", None, "connection"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101, "http_101"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", 500, "http_500"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", 410, "http_410"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            302,
            "http_302",
        ),
        (
            b"HTTP/1.1 307 Again\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            307,
            "http_307",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 200, "connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 200, "connection"),
        (b"HTTP/1.1 20", None, "connection"),
        (b"", None, "connection"),
        (b"not http at all\r\n\r\n", None, "connection"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", None, "connection"),
    ],
)
def test_an_answer_counts_only_when_it_is_whole_and_2xx(
    sender: WebhookHttpClient, data: bytes, status: int | None, error: str | None
) -> None:
    """2xx is success, a redirect is not followed, a truncated answer is a failure."""
    with raw(answering(data)) as url:
        outcome = sender.post(url, {}, "{}")
    assert (outcome.status, outcome.error) == (status, error)


def test_endless_interim_answers_run_out_of_time(sender: WebhookHttpClient) -> None:
    """A receiver that only ever hints ends with the attempt's time."""

    def hints(peer: socket.socket) -> None:
        while True:
            peer.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            time.sleep(0.01)

    with raw(hints) as url:
        assert sender.post(url, {}, "{}").error == "timeout"


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 2"])
def test_a_stale_connection_costs_no_attempt(sender: WebhookHttpClient, first: bytes) -> None:
    """A kept connection that ends before a byte of the answer is replaced once.

    One that ends later is a failed attempt.
    """
    taken = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    requests_seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def read(peer: socket.socket) -> None:
            request = b""
            while not request.endswith(b"{}"):
                request += peer.recv(65_536)
            requests_seen.append(request)

        def serve() -> None:
            for number in range(3):
                with listener.accept()[0] as peer:
                    read(peer)
                    peer.sendall(taken)
                    if number == 0:
                        read(peer)
                        peer.sendall(first)

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert sender.post(url, {}, "{}").error is None
        assert sender.post(url, {}, "{}").error == ("connection" if first else None)
        assert len(requests_seen) == (2 if first else 3)


def test_a_fault_that_is_not_foreseen_is_an_outcome(
    sender: WebhookHttpClient, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """The attempt is recorded, and the log says what happened."""
    monkeypatch.setattr(WebhookHttpClient, "_exchange", lambda *_: 1 / 0)
    assert sender.post("http://127.0.0.1:1/", {}, "{}").error == "connection"
    assert "attempt failed unexpectedly" in caplog.text


def test_retry_after_is_handed_on(sender: WebhookHttpClient) -> None:
    """The `Retry-After` of an answer reaches the schedule."""
    with raw(answering(b"HTTP/1.1 429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")) as url:
        outcome = sender.post(url, {}, "{}")
    assert (outcome.error, outcome.retry_after) == ("http_429", "120")


def dripping(head: bytes) -> Callable[[socket.socket], None]:
    def behave(peer: socket.socket) -> None:
        peer.sendall(head)
        for _ in range(200):
            peer.sendall(b"x")
            time.sleep(0.02)

    return behave


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
)
def test_a_receiver_that_drips_runs_out_of_time(sender: WebhookHttpClient, head: bytes) -> None:
    """Body or headers one byte at a time: the attempt ends when its whole time is up."""
    with raw(dripping(head)) as url:
        began = time.monotonic()
        outcome = sender.post(url, {}, "{}")
        assert outcome.error == "timeout"
        assert time.monotonic() - began < 2


def test_a_silent_receiver_runs_out_of_time(sender: WebhookHttpClient) -> None:
    """No answer at all is a timeout."""
    with raw(lambda peer: bool(peer.recv(1)) and None) as url:
        assert sender.post(url, {}, "{}").error == "timeout"


def test_a_name_that_resolves_slowly_runs_out_of_time(
    sender: WebhookHttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt's one time limit holds for its look-ups too."""
    import time

    def slow(*_: object, **__: object) -> list[object]:
        time.sleep(2)
        return []

    monkeypatch.setattr("socket.getaddrinfo", slow)
    began = time.monotonic()
    assert sender.post("http://slow.example.com/", {}, "{}").error == "timeout"
    assert time.monotonic() - began < 1.5


def test_of_a_gigabyte_16_kb_are_read(sender: WebhookHttpClient) -> None:
    """A huge answer is cut off after 16 KB, and still counts by its status."""
    sent = [0]

    def behave(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        while True:
            peer.sendall(b"x" * 65536)
            sent[0] += 65536

    with raw(behave) as url:
        outcome = sender.post(url, {}, "{}")
    assert (outcome.status, outcome.error, outcome.truncated, len(outcome.response_body)) == (
        200,
        None,
        True,
        BODY_LIMIT,
    )
    assert sent[0] < 64 * 1024 * 1024


def test_a_compressed_answer_is_not_unpacked(sender: WebhookHttpClient) -> None:
    """What calls itself gzip is kept as it came: a decompression bomb has nothing to explode in."""
    with raw(answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")) as url:
        assert sender.post(url, {}, "{}").response_body == "nope"


def test_a_closed_port_and_an_unknown_name_are_failures(sender: WebhookHttpClient) -> None:
    """Refused connections and names that do not resolve are failed attempts, to be repeated."""
    assert sender.post("http://127.0.0.1:9/", {}, "{}").error == "connection"
    assert sender.post("http://no-such-host.invalid/", {}, "{}").error == "dns"


def test_loopback_is_refused_in_a_deployment() -> None:
    """Without the local stack's settings neither http nor loopback is called."""
    sender = WebhookHttpClient(Policy(), timeout_s=0.5)
    for url in (
        "http://127.0.0.1:18499/",
        "https://127.0.0.1:18499/",
        "https://localhost:18499/",
        "https://169.254.169.254/",
    ):
        assert sender.post(url, {}, "{}").error == "refused"


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "fec0::1"], ["::5efe:7f00:1"]],
)
def test_any_bad_answer_stops_the_delivery(
    sender: WebhookHttpClient, monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    """At delivery too, one address that may not be called condemns the name."""
    monkeypatch.setattr(socket, "getaddrinfo", _resolver([answers]))
    monkeypatch.setattr(ssrf_guard, "resolve", lambda _host, _port: _addresses(answers))
    assert sender.post("http://hooks.example.com:18499/", {}, "{}").error == "refused"


def test_a_name_that_changes_its_answer_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding.

    Whatever the first answer was, the address that is connected to has itself been checked.
    """
    connected: list[Any] = []
    sender = WebhookHttpClient(Policy(), timeout_s=0.5)
    monkeypatch.setattr(socket, "getaddrinfo", _resolver([["8.8.8.8"], ["127.0.0.1"]]))
    monkeypatch.setattr(ssrf_guard, "resolve", lambda _host, _port: _addresses(["127.0.0.1"]))
    monkeypatch.setattr(socket.socket, "connect", lambda _self, address: connected.append(address))
    assert sender.post("https://hooks.example.com/", {}, "{}").error == "refused"
    monkeypatch.setattr(socket, "getaddrinfo", _resolver([["127.0.0.1"], ["8.8.8.8"]]))
    monkeypatch.setattr(ssrf_guard, "resolve", lambda _host, _port: _addresses(["8.8.8.8"]))
    assert sender.post("https://hooks.example.com/", {}, "{}").error == "refused"
    assert connected == []


def _addresses(answers: list[str]) -> list[Any]:
    return [ipaddress.ip_address(answer) for answer in answers]


def _resolver(rounds: list[list[str]]) -> Any:
    left = list(rounds)

    def getaddrinfo(_host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        answers = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in answers
        ]

    return getaddrinfo


def test_certificates_are_checked(tmp_path: Path) -> None:
    """An untrusted certificate, or one for another name, is refused; the right one is accepted."""
    for name, good in (("localhost", True), ("elsewhere.example.com", False)):
        pem = certificate(tmp_path, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        with serving(Receiver, context) as port:
            body = "{}"
            headers = {"X-Webhook-Signature": legacy("your-secret", body)}
            url = f"https://localhost:{port}/webhook"
            assert WebhookHttpClient(LOCAL, timeout_s=2).post(url, headers, body).error == "tls"
            trusting = WebhookHttpClient(LOCAL, timeout_s=2, ca_bundle=str(pem)).post(url, headers, body)
            assert trusting.error == (None if good else "tls")


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for a name, with its key, as a PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    return path
