"""Deliveries of outbound webhooks by one worker, next to django-outbound-webhooks."""

import logging
import subprocess
import sys
import time
import uuid
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.harness import BenchEnvironment, Figure, at_least, interleaved, isolated_tables, spread
from bench.harness.environment import KEPT
from infra.stack import ROOT
from testkit.gateway import CONTEXT

BUDGET_S = 120

_EACH = 100
_BATCH = 10  # the batch size of the function in infra/stack.yaml
_ROUNDS = 12
_PEER = ("django-outbound-webhooks==0.4.0", "django==5.2.19")
_PAYLOAD = {"symbol": "BTC/USDT", "side": "buy", "quantity": "0.0015", "value": "97.50"}


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures the same payload to the same receiver on loopback, recorded in full.

    A hundred at a time, one process each.
    """
    _ = bench_environment.env
    logging.disable(logging.INFO)
    processor: list[float] = []
    with (
        isolated_tables(bench_environment, ["webhooks", "deliveries", "outbox"], ["deliveries"]),
        _receiver() as url,
        _peer(url) as peer,
    ):
        turns = interleaved(_ours(url, processor), peer, rounds=_ROUNDS, until=bench_environment.ends_at)
    yield Figure(
        "outbound deliveries",
        "Deliveries per second of one worker: read, claimed, signed, posted, "
        "recorded with headers and bodies, counted.",
        turns.ours,
        "/s",
        baseline=turns.baseline,
        floor_is=f"{_PEER[0]} on SQLite, one worker",
        ratio=turns.ratio,
        limit=at_least(5),
        grows="with the workers; not with anything stored.",
    )
    yield Figure(
        "outbound deliveries, processor time",
        "Our process's own time per delivery, boto3's and TLS-less HTTP's included.",
        spread(processor),
        "ms",
    )


def _ours(url: str, processor: list[float]) -> Callable[[], float]:
    """Returns a round: deliveries are created and queued.

    Then the function handles its batches, and only that is timed.
    """
    from chalicelib import aws, config  # noqa: PLC0415 - with the stand's environment
    from chalicelib.events.models import LoggedEvent  # noqa: PLC0415
    from chalicelib.users.access import Caller  # noqa: PLC0415
    from chalicelib.users.models import Role  # noqa: PLC0415
    from chalicelib.webhooks import endpoint_store, manage  # noqa: PLC0415
    from chalicelib.webhooks.delivery import fan_out  # noqa: PLC0415
    from functions import deliver_webhooks  # noqa: PLC0415

    owner = Caller(user_id="1", user_uuid="bench", role=Role.ADMIN)
    webhook, _ = manage.create(
        {"name": "bench", "url": url, "event_type": "order.filled"}, owner, datetime.now(UTC)
    )
    placed = 0

    def place() -> None:
        nonlocal placed
        for _ in range(_EACH):
            placed += 1
            event = LoggedEvent(
                stream="admin",
                sequence=placed,
                event_id=uuid.uuid4().hex,
                type="order.filled",
                payload={"order_id": f"order-{placed}", **_PAYLOAD},
                entity=f"order#{placed}",
                user_id="1",
                timestamp=datetime.now(UTC),
            )
            assert fan_out.fan_out(event, datetime.now(UTC)) == 1

    def taken() -> list[str]:
        """Returns messages from the queue, taken as Lambda does before it calls a function."""
        sqs, queue = aws.client("sqs"), config.queue("deliveries")
        bodies: list[str] = []
        while len(bodies) < _EACH:
            messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=5)[
                "Messages"
            ]
            entries = [
                {"Id": str(index), "ReceiptHandle": each["ReceiptHandle"]}
                for index, each in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
            bodies += [each["Body"] for each in messages]
        return bodies

    def once() -> float:
        place()
        batches = [_event(bodies) for bodies in _split(taken())]
        began, used = time.perf_counter(), time.process_time()
        for batch in batches:
            assert deliver_webhooks.handler(batch, CONTEXT) == {"batchItemFailures": []}
        took = time.perf_counter() - began
        processor.append((time.process_time() - used) * 1000 / _EACH)
        books = endpoint_store.total(endpoint_store.shards([webhook.webhook_id])[webhook.webhook_id])
        assert books["delivered"] == books["matched"] == placed, books
        return _EACH / took

    return once


@contextmanager
def _peer(url: str) -> Iterator[Callable[[], float]]:
    """Yields the peer's rounds: its deliveries per second."""
    script = ROOT / "bench" / "harness" / "django_peer.py"
    with TemporaryDirectory() as directory:
        command = [str(_environment()), str(script), url, f"{directory}/peer.sqlite"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=directory
        )
        try:
            _next_line(process)
            yield lambda: _EACH / float(_run_round(process, _EACH))
        finally:
            process.kill()
            process.wait()


def _run_round(process: subprocess.Popen[str], number: int) -> str:
    assert process.stdin
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    return _next_line(process)


def _next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} has ended")
    return line.strip()


def _environment() -> Path:
    """Returns the peer's interpreter, in an environment with only the peer. Created once, from PyPI."""
    directory = KEPT / "-".join(_PEER)
    python = directory / "bin" / "python"
    done = directory / "installed"
    if not done.exists():
        venv.create(directory, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PEER],
            check=True,
            timeout=BUDGET_S,
        )
        done.touch()
    return python


@contextmanager
def _receiver() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.harness.receiver"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        yield f"http://127.0.0.1:{_next_line(process)}/webhook"
    finally:
        process.kill()
        process.wait()


def _split(bodies: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(bodies), _BATCH):
        yield bodies[start : start + _BATCH]


def _event(bodies: list[str]) -> dict[str, Any]:
    """Returns a batch as Lambda passes it on."""
    about = {"receiptHandle": "-", "attributes": {}, "messageAttributes": {}, "eventSource": "aws:sqs"}
    arn = "arn:aws:sqs:us-east-1:000000000000:deliveries"
    return {
        "Records": [
            {**about, "messageId": uuid.uuid4().hex, "body": body, "eventSourceARN": arn} for body in bodies
        ]
    }
