"""One HTTP attempt, over requests-hardened's address-pinning adapter plus our stricter guard.

An attempt ends 15 s after it began, name resolution included. The timeouts of `requests` count from byte to
byte, so a slow receiver would never reach them. Each wait for bytes therefore gets the time that is left.

Redirects are not followed: one could lead to an address that the guard refuses. Proxies, `.netrc` and cookies
are not used. At most 16 KB of the answer are read and kept. Connections stay open for the next delivery to
the same endpoint.
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
from chalicelib.webhooks.delivery import ssrf_guard
from chalicelib.webhooks.models import Outcome

TIMEOUT_S = 15.0
BODY_LIMIT = 16 * 1024
_IDLE_S = 50.0  # load balancers close idle connections after 60 s, which would cost an attempt
_POOLS = 64  # endpoints with open connections per process
_SUCCESS = range(200, 300)
_INTERIM = range(100, 200)

_RESOLVERS = ThreadPoolExecutor(32, thread_name_prefix="resolver")

_attempt = threading.local()


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Limits this thread's sending and receiving inside the block to this many seconds in all."""
    _attempt.ends_at = time.monotonic() + seconds
    try:
        yield
    finally:
        del _attempt.ends_at


def _left() -> float:
    """Returns the seconds left of this thread's attempt. Raises TimeoutError when none are left."""
    seconds: float = _attempt.ends_at - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


class _InTime(io.RawIOBase):
    """A socket's input. Each wait for bytes is bounded by the time left."""

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
    """An answer whose headers and body are read within the time left."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = io.BufferedReader(_InTime(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        """Returns the final status. `http.client` skips 100 only.

        Every other 1xx except 101 is interim as well (RFC 9110 §15.2).
        """
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status not in _INTERIM or status == SWITCHING_PROTOCOLS:
                return version, status, reason
            parse_headers(self.fp)


class _Watched:
    """A connection that gives connecting, sending and reading only the time left."""

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
    """Checks every resolved and pinned address by our guard, after the base class has checked it."""

    def __init__(self, policy: ssrf_guard.Policy, *, https: bool) -> None:
        super().__init__(is_https_proto=https, allow_loopback=policy.allow_loopback)
        self._policy = policy
        self.init_poolmanager(_POOLS, 16)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        HTTPAdapter.init_poolmanager(self, connections, maxsize, block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        # Name resolution has no timeout: the thread is abandoned when the attempt's time is over.
        return _RESOLVERS.submit(self._pool_key, request, verify, cert).result(_left())

    def _pool_key(self, request: Any, verify: Any, cert: Any) -> Any:
        parts = ssrf_guard.check_url(request.url, self._policy)
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        name = str(parts.hostname)
        pinned = ipaddress.ip_address(host["host"].strip("[]"))
        ssrf_guard.check_addresses(
            name, [pinned, *ssrf_guard.resolve(name, host["port"] or 443)], self._policy, host["port"] or 443
        )
        return host, pool


class WebhookHttpClient:
    """Makes attempts. One per process, shared by several threads.

    Args:
        ca_bundle: Path of the trusted certificates. None means the default ones.
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
        """Makes one attempt. Never raises for faults of a receiver, its name or its certificate."""
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
            # The receiver closed an idle connection just as the request went out. Its other idle connections
            # may be closed, too.
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
        """Returns the raw body, to its end or to one byte past the limit.

        A premature end shows only on reading past it.
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
    """Returns the error name of a fault. Logs an unexpected fault with its traceback."""
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
        log.error("attempt failed unexpectedly", exc_info=fault)
    return "connection"
