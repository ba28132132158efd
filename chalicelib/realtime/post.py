"""Posting to WebSocket connections."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from chalicelib import aws, config
from chalicelib.http import to_json
from chalicelib.telemetry import log

_THREADS = 16


def post(connection_id: str, message: dict[str, Any]) -> bool:
    """Sends a message to a connection; False if it is gone."""
    try:
        _client().post_to_connection(ConnectionId=connection_id, Data=to_json(message).encode())
    except ClientError as error:
        if error.response["Error"]["Code"] != "GoneException":
            raise
        return False
    return True


def post_to_all(connection_ids: Sequence[str], message: dict[str, Any]) -> list[str]:
    """Sends a message to many connections side by side; returns those that are gone. One that cannot be reached for another
    reason is logged and passed over: it mends itself by `resume`."""
    if not connection_ids:
        return []
    data = to_json(message).encode()
    with ThreadPoolExecutor(min(_THREADS, len(connection_ids))) as pool:
        return [gone for gone in pool.map(lambda connection_id: _post_data(connection_id, data), connection_ids) if gone]


def _post_data(connection_id: str, data: bytes) -> str | None:
    try:
        _client().post_to_connection(ConnectionId=connection_id, Data=data)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "GoneException":
            return connection_id
        log.warning("connection not reached", extra={"connection_id": connection_id, "fault": code})
    return None


def _client() -> Any:
    return aws.client("apigatewaymanagementapi", config.websocket("realtime"))
