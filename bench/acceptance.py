"""Accepting a signal, beside a bare script that makes the same calls to AWS and nothing else."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3

from bench.kit import Call, Figure, Stand, apart, at_most, in_turns, spread, watched

BUDGET_S = 60

_EACH = 10
_ROUNDS = 40


def run(stand: Stand) -> Iterator[Figure]:
    """A paper signal for one account, its queue and outbox without anybody behind them: what is measured is acceptance alone."""
    token = stand.env["TRADEHOOK_PAPER_TOKEN"]
    logging.disable(logging.INFO)
    with apart(stand, ["outbox", "webhook_logs", "idempotency", "signals"], ["orders-paper"]):
        accept = _acceptance(token)
        accept()
        with watched() as calls:
            accept()
        script = _bare(calls)
        processor: dict[str, list[float]] = {"ours": [], "floor": []}
        turns = in_turns(_several(accept, processor["ours"]), _several(script, processor["floor"]), rounds=_ROUNDS, until=stand.ends_at)
    mine, bares = processor["ours"][1:], processor["floor"][1:]  # the first were the warming up
    yield Figure(
        "acceptance",
        "From API Gateway's event to the answer: a paper signal for one account, stored and queued.",
        turns.ours,
        "ms",
        floor=turns.floor,
        floor_is="the same AWS calls by a bare boto3 script",
        ratio=turns.ratio,
        limit=at_most(1.3),
        grows="with the signal's accounts, ten to a message batch; not with anything stored.",
    )
    yield Figure(
        "acceptance, processor time",
        "Our process's own time per signal, boto3's included.",
        spread(mine),
        "ms",
        floor=spread(bares),
        floor_is="the bare boto3 script",
        ratio=spread(own / bare for own, bare in zip(mine, bares, strict=True)),
    )
    yield Figure(
        "acceptance, our part of it",
        "The same without what the bare script takes.",
        spread(own - bare for own, bare in zip(mine, bares, strict=True)),
        "ms",
        limit=at_most(2),
    )
    yield Figure(
        "acceptance, AWS calls",
        "; ".join(f"{call.service} {call.operation}" for call in calls) + ".",
        spread([len(calls)]),
        "calls",
        limit=at_most(3),
        grows="by one message batch for each ten further accounts.",
    )


def _acceptance(token: str) -> Callable[[], None]:
    """One alert, as API Gateway hands it on."""
    from functions import receive_signals  # noqa: PLC0415 - it makes its clients while it is imported
    from tests.support import gateway  # noqa: PLC0415

    headers = {"X-Webhook-Token": token, "Prefer": "respond-async", "Content-Type": "text/plain; charset=utf-8"}

    def accept() -> None:
        body = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 185.5, "alert_id": uuid.uuid4().hex}
        event = gateway.request("POST", "/api/webhook", json.dumps(body), headers=headers)
        answer = receive_signals.app(event, gateway.CONTEXT)
        assert answer["statusCode"] == 202, answer

    return accept


def _bare(calls: list[Call]) -> Callable[[], None]:
    """The calls once more, as a plain script would make them; only what must be new each time is."""
    clients = {service: boto3.client(service) for service in {call.service for call in calls}}
    steps = [(getattr(clients[call.service], _snake(call.operation)), call.arguments) for call in calls]
    stored = next(call for call in calls if call.operation == "TransactWriteItems").arguments["TransactItems"]
    items = [write["Put"]["Item"] for write in stored]
    [signal_id] = {item["signal_id"]["S"] for item in items if "forget_at" in item and "variant" in item}
    [event_id] = {item["event_id"]["S"] for item in items if "event_id" in item}
    keys = {item["key"]["S"] for item in items if item.get("key", {"S": ""})["S"].startswith("key#")}

    def once() -> None:
        fresh = uuid.uuid4().hex
        renewed = {signal_id: fresh, event_id: fresh * 2} | dict.fromkeys(keys, f"key#{fresh}")
        for call, arguments in steps:
            call(**_renewed(arguments, renewed))

    return once


def _renewed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _renewed(inner, names) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renewed(inner, names) for inner in value]
    if isinstance(value, str):
        for old, new in names.items():
            if old in value:
                return value.replace(old, new)
    return value


def _several(work: Callable[[], None], processor: list[float]) -> Callable[[], float]:
    """Milliseconds for one, of ten in a row; the processor's milliseconds go into the list."""

    def repeated() -> float:
        began, used = time.perf_counter(), time.process_time()
        for _ in range(_EACH):
            work()
        processor.append((time.process_time() - used) * 1000 / _EACH)
        return (time.perf_counter() - began) * 1000 / _EACH

    return repeated


def _snake(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
