"""Warms functions, so that the first alert is answered in TradingView's time on two cores, too."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infra.local.admission import AT_ONCE
from infra.local.stack import LocalStack
from infra.stack import Function

_RECEIVER = "receive_signals"
_THREADS = 2


def up(stack: LocalStack) -> None:
    """Calls the functions on a signal's path with an event without effect.

    Their answers do not matter.
    """
    client = stack.client("lambda")

    def call(wanted: tuple[str, dict[str, Any]]) -> None:
        name, event = wanted
        client.invoke(FunctionName=stack.function(name), Payload=json.dumps(event).encode())

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(call, _calls(stack)))
    with ThreadPoolExecutor(AT_ONCE) as pool:  # as many as the front door admits
        list(pool.map(call, [(_RECEIVER, _request("/"))] * AT_ONCE))


def _calls(stack: LocalStack) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, function in stack.description.functions.items():
        waited_for = (
            function.definition.http
            or function.definition.websocket
            or any(not trigger.schedule for trigger in function.triggers)
        )
        if name != _RECEIVER and waited_for:
            yield name, _nothing(function)


def _nothing(function: Function) -> dict[str, Any]:
    if function.definition.http:
        return _request("/health")
    if function.definition.websocket:
        return {"requestContext": {"eventType": "DISCONNECT", "connectionId": "none"}}
    return {"Records": []}


def _request(path: str) -> dict[str, Any]:
    """Returns a request as API Gateway passes it on."""
    context = {"httpMethod": "GET", "resourcePath": path, "identity": {"sourceIp": "127.0.0.1"}}
    empty: dict[str, Any] = {"headers": {}, "multiValueHeaders": {}, "pathParameters": {}}
    absent = {"multiValueQueryStringParameters": None, "stageVariables": None, "body": None}
    return {"requestContext": context, "isBase64Encoded": False, **empty, **absent}
