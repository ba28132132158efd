"""The HTTP transport under ccxt: bounded in time, without retries, with a configurable endpoint.

With the setting `EXCHANGE_ENDPOINT` every call goes to that endpoint. ccxt keeps the real URL, by which it
chooses its error tables. Path and query are kept, and the real host is sent in `X-Original-Host`.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

from chalicelib import config

CONNECT_TIMEOUT_S = 3.0
# Binance itself gives up on a request after 10 s, so no answer comes later than this.
READ_TIMEOUT_S = 12.0

ORIGINAL_HOST = "X-Original-Host"

# At debug level these libraries log URLs with signatures, and headers with keys.
for _name in ("ccxt", "urllib3"):
    logging.getLogger(_name).setLevel(logging.INFO)


class ExchangeTransport(HTTPAdapter):
    """Sends requests to the exchange, or to `endpoint` instead.

    Attributes:
        sent: Number of requests handed to the network so far, whatever their outcome.
    """

    def __init__(self, endpoint: str, timeout: tuple[float, float]) -> None:
        super().__init__(max_retries=0)
        self._endpoint = endpoint.rstrip("/")
        self._timeout = timeout
        self.sent = 0

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,  # noqa: ARG002  ccxt has one for both phases
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Sends one request, with this transport's timeouts instead of the caller's."""
        real = request.url or ""
        if self._endpoint:
            parts = urlsplit(real)
            request.headers[ORIGINAL_HOST] = parts.netloc
            request.url = self._endpoint + urlunsplit(("", "", parts.path, parts.query, ""))
        self.sent += 1
        response = super().send(
            request, stream=stream, timeout=self._timeout, verify=verify, cert=cert, proxies=proxies
        )
        response.url = real
        return response


def mount(client: Any, timeout: tuple[float, float] | None = None) -> ExchangeTransport:
    """Gives a ccxt exchange its own HTTP session and returns the transport.

    One per invocation: the exchange may have closed an older connection, and the reset would leave the
    order's outcome unknown.
    """
    transport = ExchangeTransport(
        config.setting("EXCHANGE_ENDPOINT"), timeout or (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
    )
    session = requests.Session()
    session.trust_env = False
    # A redirected request would send key and signature to another host.
    session.max_redirects = 0
    for scheme in ("https://", "http://"):
        session.mount(scheme, transport)
    client.session = session
    return transport
