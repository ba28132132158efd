"""One signal to 1, 10, 100 and 1,000 accounts.

Acknowledgement next to the bare calls, and execution on all accounts.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator

import requests

from bench.harness import (
    BenchEnvironment,
    BenchUser,
    Figure,
    at_most,
    interleaved,
    isolated_tables,
    script,
    watched,
)
from chalicelib import aws
from chalicelib.orders import store as order_store
from functions import receive_signals
from testkit import gateway

BUDGET_S = 140

_ROUNDS = {1: 40, 10: 40, 100: 12, 1_000: 4}
"""By size, so that all take about the same time."""
_EXCHANGE = "binance"  # a group signal names one exchange
_EXECUTED = (50, 1_000)
_PATIENCE_S = 150


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures demo accounts, simulated by our own paper engine."""
    logging.disable(logging.WARNING)
    bench_users = {
        size: BenchUser(bench_environment, {_EXCHANGE: size}, "demo") for size in {*_ROUNDS, *_EXECUTED}
    }
    with isolated_tables(
        bench_environment, ["outbox", "webhook_logs", "idempotency", "signals"], [f"orders-{_EXCHANGE}"]
    ):
        for size, rounds in _ROUNDS.items():
            accept = _acceptance(bench_users[size])
            accept()
            with watched() as calls:
                accept()
            turns = interleaved(
                accept, script(calls), rounds=rounds, until=bench_environment.ends_at - BUDGET_S / 2
            )
            yield Figure(
                f"fan-out to {size:,}, acknowledged",
                f"A group signal for {size:,} accounts, stored and queued by {len(calls)} AWS calls.",
                turns.ours,
                "ms",
                baseline=turns.baseline,
                floor_is="the same AWS calls, one after the other, by a bare boto3 script",
                ratio=turns.ratio,
                limit=at_most(1.3),
                grows="with the accounts, ten to a message batch; batches go out eight at a time.",
            )
    few, many = _EXECUTED
    turns = interleaved(
        _execution(bench_environment, bench_users[many]),
        _execution(bench_environment, bench_users[few]),
        rounds=1,
        warm_up=0,
    )
    yield Figure(
        f"fan-out to {many:,}, executed",
        f"From the front door to the last of {many:,} settled accounts, per account; "
        "every account is served.",
        turns.ours,
        "ms an account",
        baseline=turns.baseline,
        floor_is=f"per account with {few}",
        ratio=turns.ratio,
        limit=at_most(1.3),
        grows="linearly here, where each exchange has one worker; "
        "in AWS by the exchange's concurrency in stack.yaml.",
    )


def _acceptance(bench_user: BenchUser) -> Callable[[], None]:
    def accept() -> None:
        body = json.dumps(bench_user.signal(_EXCHANGE, price="95000"))
        request = gateway.request("POST", "/api/webhook", body, headers={"Prefer": "respond-async"})
        answer = receive_signals.app(request, gateway.CONTEXT)
        assert answer["statusCode"] == 202, answer

    return accept


def _execution(bench_environment: BenchEnvironment, bench_user: BenchUser) -> Callable[[], float]:
    """Returns a measurement of the milliseconds per account until all have settled."""
    size = len(bench_user.accounts)

    def execute() -> float:
        began = time.perf_counter()
        body = bench_user.signal(_EXCHANGE, price="95000")
        answer = requests.post(
            f"{bench_environment.place.url}/api/webhook",
            json=body,
            headers={"Prefer": "respond-async"},
            timeout=_PATIENCE_S,
        )
        assert answer.status_code == 202, answer.text
        signal_id = answer.json()["signal_id"]
        while (settled := _settled(signal_id, size)) < size:
            assert time.perf_counter() - began < _PATIENCE_S, f"{settled} of {size} have settled"
            time.sleep(size / 1000)  # more frequent checks would use the measured time
        took = time.perf_counter() - began
        executions, orders = order_store.results_of(signal_id)
        assert len(executions) == size
        assert [order.status for order in orders] == ["filled"] * size
        return took * 1000 / size

    return execute


def _settled(signal_id: str, size: int) -> int:
    """Returns the number of settled accounts: each has an account result and an order, written together."""
    return (aws.count("orders", "signal_id = :id", most=2 * size, looked_at=2 * size, id=signal_id) or 0) // 2
