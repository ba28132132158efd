"""The floor of anything that calls AWS.

A bare script that makes the same calls, as they were recorded, and nothing else.
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
    """A function that makes the calls once, with boto3's clients as they come.

    What identifies a signal, an event, a message or an idempotency key is new each time, so that nothing is
    taken for a repeat; and no conditions are made, since the recorded calls have changed what they were
    about.

    Args:
        instead: Other words to be replaced, the same each time.
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
    """The strings, DynamoDB's or plain ones, that stand under a name that must be new each time."""
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            yield from _named(inner, name if inner_name == "S" else inner_name)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner, name)
    elif isinstance(value, str) and name in _NEW_EACH_TIME:
        yield value


def _unconditional(value: Any) -> Any:
    """The arguments without conditions, and without the values and names that only those mention."""
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
