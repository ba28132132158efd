"""The baseline of any work that calls AWS.

A bare script that only makes the same recorded calls.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import boto3

from bench.harness.calls import Call

_NEW_EACH_TIME = {"signal_id", "event_id", "key", "MessageDeduplicationId"}


def script(calls: Sequence[Call], instead: Mapping[str, str] | None = None) -> Callable[[], None]:
    """Returns a function that makes the calls once, with plain boto3 clients.

    Ids of signals, events, messages and idempotency keys are new each time, so that no call counts as a
    duplicate. Conditions are dropped, because the recorded calls have changed the items.

    Args:
        instead: Other words to replace, the same each time.
    """
    clients = {service: boto3.client(service) for service in {call.service for call in calls}}
    steps = [
        (getattr(clients[call.service], _method(call.operation)), json.dumps(_unconditional(call.arguments)))
        for call in calls
    ]
    renewed = {name for call in calls for name in _named(call.arguments)}
    words = re.compile(
        "|".join(re.escape(word) for word in sorted({*renewed, *(instead or {})}, key=len, reverse=True))
    )

    def once() -> None:
        fresh = {name: uuid.uuid4().hex for name in renewed} | dict(instead or {})
        for call, arguments in steps:
            call(**json.loads(words.sub(lambda found: fresh[found.group()], arguments)))

    return once


def _named(value: Any, name: str = "") -> Iterator[str]:
    """Yields the strings, in DynamoDB's form or plain, under a name whose value must be new each time."""
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            yield from _named(inner, name if inner_name == "S" else inner_name)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner, name)
    elif isinstance(value, str) and name in _NEW_EACH_TIME:
        yield value


def _unconditional(value: Any) -> Any:
    """Returns the arguments without conditions, and without the values and names of only these."""
    if isinstance(value, list):
        return [_unconditional(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _unconditional(inner) for name, inner in value.items()}
    if "ConditionExpression" in kept:
        del kept["ConditionExpression"]
        kept.pop("ReturnValuesOnConditionCheckFailure", None)
        words = set(re.findall(r"[:#]\w+", kept.get("UpdateExpression", "")))
        for names in ("ExpressionAttributeValues", "ExpressionAttributeNames"):
            left = {name: inner for name, inner in kept.pop(names, {}).items() if name in words}
            kept |= {names: left} if left else {}
    return kept


def _method(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
