"""Execution of an order.

Its calls to AWS, and its time next to a bare script with the same calls.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench.harness import (
    BenchEnvironment,
    BenchUser,
    Call,
    Figure,
    at_most,
    interleaved,
    isolated_tables,
    script,
    spread,
    watched,
)
from chalicelib import aws, config
from functions import execute_orders, receive_signals
from testkit import gateway, pump

BUDGET_S = 60

_EACH = 5
_ROUNDS = 40
_LIVE_ORDERS = 10  # SQS returns ten messages of one group at once
_EXCHANGES = ("binance", "bybit", "okx")
_TABLES = ["signals", "orders", "outbox", "webhook_logs", "idempotency"]
_QUEUES = ["realtime", *(f"orders-{name}" for name in _EXCHANGES)]


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures paper orders, where all the work is ours.

    Then accounts at exchanges, where only the calls are counted.
    """
    logging.disable(logging.WARNING)
    with isolated_tables(bench_environment, _TABLES, _QUEUES):
        yield from _on_paper(bench_environment)
        yield from _at_exchanges(bench_environment)


def _on_paper(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    bench_user = BenchUser(bench_environment, {"binance": 1}, "demo")
    worker = _Worker(bench_user, "binance", price="95000")
    worker.prepare(2)
    worker.execute()  # an account's first order creates its order store
    calls = worker.execute()
    bare = script(calls, {bench_user.accounts[0].account_id: "bench-bare"})

    def bares() -> float:
        began = time.perf_counter()
        for _ in range(_EACH):
            bare()
        return (time.perf_counter() - began) * 1000 / _EACH

    turns = interleaved(worker.several, bares, rounds=_ROUNDS, until=bench_environment.ends_at - BUDGET_S / 2)
    yield Figure(
        "execution on paper",
        "From the queue's event to the settled order: read, sized, filled, booked, its event written.",
        turns.ours,
        "ms",
        baseline=turns.baseline,
        floor_is="the same AWS calls by a bare boto3 script",
        ratio=turns.ratio,
        limit=at_most(1.3),
        grows="with the orders that wait on the account, and its holdings; not with past ones.",
    )
    yield _calls("execution on paper, AWS calls", [calls])


def _at_exchanges(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    for exchange in _EXCHANGES:
        with BenchUser(bench_environment, {exchange: 1}) as bench_user:
            worker = _Worker(bench_user, exchange, price="50000")
            worker.prepare(_LIVE_ORDERS)
            # The key is decrypted and the instrument's rules are read once, and both are cached for minutes
            worker.execute()
            made = [worker.execute() for _ in range(_LIVE_ORDERS - 1)]
            yield _calls(f"execution at {exchange}, AWS calls", made)


def _calls(name: str, made: list[list[Call]]) -> Figure:
    usual = Counter(f"{call.service} {call.operation}" for call in sorted(made, key=len)[len(made) // 2])
    return Figure(
        name,
        "Per order of a warm worker, beside those to the exchange: "
        + ", ".join(f"{count} × {call}" for call, count in usual.items())
        + ".",
        spread(len(calls) for calls in made),
        "calls",
        limit=at_most(5),
        grows="with the orders a signal makes on the account.",
    )


class _Worker:
    """Executes signals for one account, accepted beforehand."""

    def __init__(self, bench_user: BenchUser, exchange: str, price: str) -> None:
        self._bench_user = bench_user
        self._exchange = exchange
        self._price = price
        self._messages: list[dict[str, Any]] = []

    def prepare(self, count: int) -> None:
        """Accepts this number of signals. Their messages wait."""
        for _ in range(count):
            body = json.dumps(self._bench_user.signal(self._exchange, price=self._price))
            request = gateway.request("POST", "/api/webhook", body, headers={"Prefer": "respond-async"})
            answer = receive_signals.app(request, gateway.CONTEXT)
            assert answer["statusCode"] == 202, answer
        self._messages = pump.messages(f"orders-{self._exchange}")
        assert len(self._messages) == count
        for message in self._messages:
            aws.client("sqs").delete_message(
                QueueUrl=config.queue(f"orders-{self._exchange}"), ReceiptHandle=message["ReceiptHandle"]
            )

    def execute(self) -> list[Call]:
        """Executes one signal and returns its calls."""
        with watched() as calls:
            self._execute(self._event())
        return calls

    def several(self) -> float:
        """Returns the milliseconds of one signal, from some in a row."""
        self.prepare(_EACH)
        events = [self._event() for _ in range(_EACH)]
        began = time.perf_counter()
        for event in events:
            self._execute(event)  # not recorded, as for the bare script
        return (time.perf_counter() - began) * 1000 / _EACH

    def _event(self) -> dict[str, Any]:
        return gateway.queue_event([self._messages.pop(0)])

    @staticmethod
    def _execute(event: dict[str, Any]) -> None:
        answer = execute_orders.handler(event, gateway.CONTEXT)
        assert answer == {"batchItemFailures": []}, answer
