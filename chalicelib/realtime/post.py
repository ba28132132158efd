"""Posts to many WebSocket connections concurrently. No connection waits for another."""

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session

from chalicelib import config
from chalicelib.realtime.frames import encode
from chalicelib.telemetry import log

THREADS = 32
_PASSED_OVER_S = 5.0
# One short try: API Gateway answers a post in milliseconds, and a client that misses a message resumes.
_TIMEOUT_S = 1
_CONFIG = Config(connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"total_max_attempts": 1})

# When a slow connection may be tried again, by connection id. Its client notices the gap and gets the missed
# events together by `resume`. Until then it blocks no thread that other connections need.
_slow: dict[str, float] = {}


def post(connection_id: str, message: dict[str, Any]) -> bool:
    """Sends a message to a connection. Returns False if the connection is gone."""
    return send(connection_id, [encode(message)])


def send(connection_id: str, frames: Sequence[bytes]) -> bool:
    """Sends messages to a connection in order, up to the first failure.

    Returns False if the connection is gone.
    """
    return _send(client(), connection_id, frames)


def _send(by: Any, connection_id: str, frames: Sequence[bytes]) -> bool:
    for frame in frames:
        try:
            by.post_to_connection(ConnectionId=connection_id, Data=frame)
        except (ClientError, BotoCoreError) as error:
            fault = (
                error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            )
            if fault == "GoneException":
                return False
            _slow[connection_id] = time.monotonic() + _PASSED_OVER_S
            log.warning(
                "connection not reached, skipping it for a while",
                extra={"connection_id": connection_id, "fault": fault},
            )
            break
    return True


def fan_out(messages: Sequence[tuple[str, Sequence[bytes]]]) -> list[str]:
    """Sends each connection its messages, connections concurrently. Returns those that are gone."""
    now = time.monotonic()
    for connection_id in [connection_id for connection_id, until in _slow.items() if until <= now]:
        _slow.pop(connection_id, None)
    wanted = [
        (connection_id, frames) for connection_id, frames in messages if frames and connection_id not in _slow
    ]
    if len(wanted) == 1:
        [(connection_id, frames)] = wanted
        return [] if send(connection_id, frames) else [connection_id]
    by = swift_client()
    alive = _pool().map(lambda pair: _send(by, *pair), wanted)
    return [connection_id for (connection_id, _), reached in zip(wanted, alive, strict=True) if not reached]


def close(connection_id: str) -> None:
    """Makes API Gateway close a connection."""
    try:
        client().delete_connection(ConnectionId=connection_id)
    except (ClientError, BotoCoreError):
        log.info("closing a connection failed", extra={"connection_id": connection_id})


class SwiftClient:
    """PostToConnection made of botocore's own parts, for many concurrent posts.

    The usual client adds more than half as much processor time to each post, and the last of two hundred
    connections waits for all of it.
    """

    def __init__(self, endpoint: str) -> None:
        session = boto3.Session()
        self._connections = f"{endpoint}/@connections/"
        self._credentials = session.get_credentials()
        self._region = session.region_name
        at_once = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        self._http = URLLib3Session(timeout=_TIMEOUT_S, max_pool_connections=THREADS, socket_options=at_once)

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - as boto3 names them
        """Sends `Data` to a connection.

        Raises:
            ClientError: The management API refused it. The code is GoneException if the connection is gone.
            BotoCoreError: It did not answer in time.
        """
        request = AWSRequest("POST", self._connections + quote(ConnectionId, safe="-_.~"), data=Data)
        SigV4Auth(self._credentials.get_frozen_credentials(), "execute-api", self._region).add_auth(request)
        status = self._http.send(request.prepare()).status_code
        if status != HTTPStatus.OK:
            code = "GoneException" if status == HTTPStatus.GONE else str(status)
            raise ClientError({"Error": {"Code": code}}, "PostToConnection")


@cache
def swift_client() -> SwiftClient:
    """Returns the client for posts to many connections."""
    return SwiftClient(config.websocket("realtime"))


@cache
def client() -> Any:
    """Returns the management API's client."""
    return boto3.client("apigatewaymanagementapi", endpoint_url=config.websocket("realtime"), config=_CONFIG)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS)
