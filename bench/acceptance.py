"""Acceptance of a signal, next to a bare script with the same calls to AWS."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator

from bench.harness import (
    BenchEnvironment,
    Figure,
    at_most,
    interleaved,
    isolated_tables,
    script,
    spread,
    watched,
)

BUDGET_S = 40

_EACH = 10
_ROUNDS = 40


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures a paper signal for one account, whose queue and outbox have no consumers.

    The figure is acceptance alone.
    """
    token = bench_environment.env["TRADEHOOK_PAPER_TOKEN"]
    logging.disable(logging.INFO)
    with isolated_tables(
        bench_environment, ["outbox", "webhook_logs", "idempotency", "signals"], ["orders-paper"]
    ):
        accept = _acceptance(token)
        accept()
        with watched() as calls:
            accept()
        bare = script(calls)
        processor: dict[str, list[float]] = {"ours": [], "baseline": []}
        turns = interleaved(
            _several(accept, processor["ours"]),
            _several(bare, processor["baseline"]),
            rounds=_ROUNDS,
            until=bench_environment.ends_at,
        )
    mine, bares = processor["ours"][1:], processor["baseline"][1:]  # the first ones were the warm-up
    yield Figure(
        "acceptance",
        "From API Gateway's event to the answer: a paper signal for one account, stored and queued.",
        turns.ours,
        "ms",
        baseline=turns.baseline,
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
        baseline=spread(bares),
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
    """Returns a call that passes one alert on, as API Gateway does."""
    from functions import receive_signals  # noqa: PLC0415 - it makes its clients while it is imported
    from testkit import gateway  # noqa: PLC0415

    headers = {
        "X-Webhook-Token": token,
        "Prefer": "respond-async",
        "Content-Type": "text/plain; charset=utf-8",
    }

    def accept() -> None:
        body = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 185.5, "alert_id": uuid.uuid4().hex}
        event = gateway.request("POST", "/api/webhook", json.dumps(body), headers=headers)
        answer = receive_signals.app(event, gateway.CONTEXT)
        assert answer["statusCode"] == 202, answer

    return accept


def _several(work: Callable[[], None], processor: list[float]) -> Callable[[], float]:
    """Returns the milliseconds of one call, from ten in a row.

    Appends the processor's milliseconds to the list.
    """

    def repeated() -> float:
        began, used = time.perf_counter(), time.process_time()
        for _ in range(_EACH):
            work()
        processor.append((time.process_time() - used) * 1000 / _EACH)
        return (time.perf_counter() - began) * 1000 / _EACH

    return repeated
