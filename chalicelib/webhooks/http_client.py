"""One HTTP attempt, over requests-hardened's address-pinning adapter with this package's stricter guard on top.

An attempt ends 15 s after it began, name resolution included, whatever the receiver does: the time limits of `requests` count from
byte to byte, so a receiver that drips would never run into them, and each wait for bytes is given the time that is left instead.
Redirects are not followed (one could lead where the guard would not), proxies, `.netrc` and cookies are not used, of the answer 16 KB
are read and kept.
Connections stay open for the next delivery to the same endpoint.
"""

import io
import ipaddress
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import SWITCHING_PROTOCOLS, HTTPResponse, parse_headers
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import InvalidIPAddress  # type: ignore[import-untyped]
from requests_hardened.ip_filter_adapter import IPFilterAdapter  # type: ignore[import-untyped]
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from chalicelib.telemetry import log
from chalicelib.webhooks import ssrf_guard
from chalicelib.webhooks.models import Outcome

TIMEOUT_S = 15.0
BODY_LIMIT = 16 * 1024
_IDLE_S = 50.0  # load balancers close idle connections after 60 s; one closed under us would cost an attempt
_POOLS = 64  # endpoints with open connections per process
_SUCCESS = range(200, 300)
_INTERIM = range(100, 200)

_RESOLVERS = ThreadPoolExecutor(32, thread_name_prefix="resolver")

_attempt = threading.local()


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """What this thread sends and receives meanwhile has so much time in all."""
    _attempt.ends_at = time.monotonic() + seconds
    try:
        yield
    finally:
        del _attempt.ends_at


def _left() -> float:
    """Seconds left of this thread's attempt. Raises TimeoutError when there are none."""
    seconds: float = _attempt.ends_at - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


class _InTime(io.RawIOBase):
    """What comes in on a socket, each wait for it bounded by the time left."""

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left())
        size = self._raw.readinto(buffer)
        _attempt.unanswered = _attempt.unanswered and not size
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    """An answer that is read in time, headers and body."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = io.BufferedReader(_InTime(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        """The final status. `http.client` skips 100 only.

        Every other 1xx is interim as well (RFC 9110 §15.2), except 101.
        """
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status not in _INTERIM or status == SWITCHING_PROTOCOLS:
                return version, status, reason
            parse_headers(self.fp)


class _Watched:
    """Gives connecting, sending and reading only the time that is left."""

    sock: Any
    timeout: Any
    response_class: Any = _Answer

    def _new_conn(self) -> Any:
        self.timeout = _left()
        sock = super()._new_conn()  # type: ignore[misc]
        sock.settimeout(_left())  # for the TLS handshake
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        _attempt.reused, _attempt.unanswered = self.sock is not None, True
        if self.sock is not None:
            self.sock.settimeout(_left())
        super().request(*args, **kwargs)  # type: ignore[misc]


class _Http(_Watched, HTTPConnection):
    pass


class _Https(_Watched, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(IPFilterAdapter):  # type: ignore[misc]
    """Checks every answer of the name and the pinned address by our guard, after the base has checked and pinned it by its own."""

    def __init__(self, policy: ssrf_guard.Policy, *, https: bool) -> None:
        super().__init__(is_https_proto=https, allow_loopback=policy.allow_loopback)
        self._policy = policy
        self.init_poolmanager(_POOLS, 16)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        HTTPAdapter.init_poolmanager(self, connections, maxsize, block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        # Resolving has no time limit of its own: it is left to itself when the attempt's time is over.
        return _RESOLVERS.submit(self._pinned, request, verify, cert).result(_left())

    def _pinned(self, request: Any, verify: Any, cert: Any) -> Any:
        parts = ssrf_guard.check_url(request.url, self._policy)
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        name = str(parts.hostname)
        pinned = ipaddress.ip_address(host["host"].strip("[]"))
        ssrf_guard.check_addresses(
            name, [pinned, *ssrf_guard.resolve(name, host["port"] or 443)], self._policy, host["port"] or 443
        )
        return host, pool


class WebhookHttpClient:
    """Makes attempts; one per process, used by several threads.

    Args:
        ca_bundle: Path of the trusted certificates, where they are not the usual ones.
    """

    def __init__(
        self,
        policy: ssrf_guard.Policy,
        *,
        timeout_s: float = TIMEOUT_S,
        body_limit: int = BODY_LIMIT,
        ca_bundle: str | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._body_limit = body_limit
        self._verify: bool | str = ca_bundle or True
        self._adapters = {"https://": _Adapter(policy, https=True), "http://": _Adapter(policy, https=False)}
        self._used_at = time.monotonic()

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        """One attempt. Never raises for what a receiver, its name or its certificate does."""
        began = time.monotonic()
        if began - self._used_at > _IDLE_S:
            for adapter in self._adapters.values():
                adapter.poolmanager.clear()
        self._used_at = began
        try:
            with _within(self._timeout_s):
                outcome = self._exchange(url, headers, body)
        except Exception as fault:  # noqa: BLE001 - an attempt that was made is recorded, whatever came back
            outcome = Outcome(error=_error(fault))
        return outcome.model_copy(update={"duration_ms": round((time.monotonic() - began) * 1000)})

    def _exchange(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        request = requests.Request(
            "POST", url, headers={"Accept-Encoding": "identity", **headers}, data=body.encode()
        ).prepare()
        adapter = self._adapters["http://" if urlsplit(url).scheme == "http" else "https://"]
        try:
            answer = self._send(adapter, request)
        except (requests.ConnectionError, OSError) as fault:
            if not (_attempt.reused and _attempt.unanswered) or _error(fault) != "connection":
                raise
            # The receiver closed an idle connection just as the request went out. Its other idle ones may be
            # closed, too.
            adapter.poolmanager.clear()
            answer = self._send(adapter, request)
        try:
            content = self._read(answer)
        except Exception as fault:  # noqa: BLE001 - the answer was cut off, in whatever way
            return _outcome(answer, b"", self._body_limit, _error(fault))
        finally:
            answer.close()
        return _outcome(
            answer,
            content,
            self._body_limit,
            None if answer.status_code in _SUCCESS else f"http_{answer.status_code}",
        )

    def _send(self, adapter: _Adapter, request: requests.PreparedRequest) -> requests.Response:
        _attempt.reused = _attempt.unanswered = False
        answer: requests.Response = adapter.send(
            request, stream=True, timeout=(self._timeout_s, self._timeout_s), verify=self._verify
        )
        return answer

    def _read(self, answer: requests.Response) -> bytes:
        """The body as it came, to its end or a byte past the limit.

        That the end was too early shows only on reading past it.
        """
        content = b""
        while len(content) <= self._body_limit and (
            more := answer.raw.read(self._body_limit + 1 - len(content), decode_content=False)
        ):
            content += more
        return content


def _outcome(answer: requests.Response, content: bytes, limit: int, error: str | None) -> Outcome:
    return Outcome(
        status=answer.status_code,
        error=error,
        # A header without a name cannot be stored: a DynamoDB attribute name has at least one character.
        response_headers={
            name[:100]: value[:500] for name, value in list(answer.headers.items())[:50] if name
        },
        response_body=content[:limit].decode("utf-8", "replace"),
        truncated=len(content) > limit,
        retry_after=answer.headers.get("Retry-After"),
    )


def _error(fault: Exception) -> str:
    """What to call a fault. One that is not foreseen is logged with its place."""
    if isinstance(fault, (ssrf_guard.Forbidden, InvalidIPAddress, requests.exceptions.InvalidURL)):
        return "refused"
    if isinstance(fault, (requests.exceptions.SSLError, urllib3.exceptions.SSLError)):
        return "tls"
    if isinstance(fault, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)):
        return "timeout"
    if isinstance(fault, requests.ConnectionError) and "resolve" in str(fault):
        return "dns"
    if not isinstance(
        fault, (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError)
    ):
        log.error("unexpected fault of an attempt", exc_info=fault)
    return "connection"
