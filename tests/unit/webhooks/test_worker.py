"""A batch of the deliveries queue."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.webhooks.delivery import circuit_breaker, delivery_store, worker
from chalicelib.webhooks.delivery.queue import Message, Task
from chalicelib.webhooks.models import Outcome

from .conftest import OK, World


def batch(world: World, number: int = 10) -> dict[str, str]:
    """Returns the messages of this many deliveries, taken from the queue."""
    world.subscribe()
    world.publish(*(world.event(entity=f"order#{each}") for each in range(number)))
    return {f"m-{index}": body for index, body in enumerate(world.sqs.take())}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The calls to AWS from now on."""
    made: list[str] = []
    inner = aws.client

    class Named:
        def __init__(self, client: Any) -> None:
            self.client = client

        def __getattr__(self, name: str) -> Any:
            made.append(name)
            return getattr(self.client, name)

    monkeypatch.setattr(aws, "client", lambda *args: Named(inner(*args)))
    return made


def test_all_of_a_batch_are_under_way_at_once(world: World) -> None:
    """Ten deliveries are posted concurrently: each waits for all the others."""
    together = threading.Barrier(10, timeout=10)
    bodies = batch(world)

    def answer(_sent: Any) -> Outcome:
        together.wait()
        return OK

    world.answer = answer
    assert worker.handle_tasks(bodies) == []
    assert world.counters()["delivered"] == 10


def test_a_batch_takes_few_calls(world: World, calls: list[str]) -> None:
    """Ten deliveries are read and claimed by one call each, and concurrent outcomes are recorded together."""
    together = threading.Barrier(10, timeout=10)
    bodies = batch(world)

    def answer(_sent: Any) -> Outcome:
        together.wait()
        return OK

    world.answer = answer
    calls.clear()
    assert worker.handle_tasks(bodies) == []
    assert calls[:3] == [
        "batch_get_item",
        "batch_get_item",
        "transact_write_items",
    ]  # deliveries, owners, claim
    assert set(calls[3:]) == {"decrypt", "transact_write_items"}  # the endpoint's secret, once
    assert len(calls) < 10, calls
    assert [delivery.attempts for delivery in world.deliveries()] == [1] * 10
    assert len(world.attempts()) == 10


def test_a_slow_endpoint_holds_up_nobody(world: World) -> None:
    """The other outcomes are recorded while the slow attempt is still in progress."""
    world.subscribe(url="https://slow.example.com/")
    bodies = batch(world, 4)
    recorded = threading.Event()

    def answer(sent: dict[str, Any]) -> Outcome:
        if "slow" in sent["url"] and sent["body"] == '{"n": 1, "value": "18559.00"}':
            assert recorded.wait(10)
        return OK

    world.answer = answer
    thread = threading.Thread(target=lambda: worker.handle_tasks(bodies))
    thread.start()
    for _ in range(500):
        with world.lock:
            delivered = [world.counters(webhook_id)["delivered"] for webhook_id in (1, 2)]
        if delivered == [3, 4]:
            break
        recorded.wait(0.01)
    recorded.set()
    thread.join()
    assert delivered == [3, 4]
    assert world.counters(1)["delivered"] == 4


@pytest.mark.parametrize("stage", [1, 2])
def test_what_cannot_be_written_together_is_written_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, stage: int
) -> None:
    """If claiming or recording together conflicts with other writers, each is done alone."""
    bodies = batch(world)
    tried = 0
    inner = delivery_store.change_together

    def contended(changes: Any, now: Any) -> bool:
        nonlocal tried
        tried += 1
        return False if tried >= stage else inner(changes, now)

    monkeypatch.setattr(delivery_store, "change_together", contended)
    assert worker.handle_tasks(bodies) == []
    assert world.counters()["delivered"] == 10
    assert len(world.sent) == 10


def test_a_delivery_that_somebody_else_has_is_left_to_them(world: World) -> None:
    """A delivery that another worker has is skipped, and the others of the batch are attempted."""
    bodies = batch(world, 3)
    taken = world.deliveries()[1]
    delivery_store.change(taken, world.now, claimed_until=world.now + delivery_store.GRACE)
    assert worker.handle_tasks(bodies) == []
    assert sorted(sent["headers"]["X-Webhook-Sequence"] for sent in world.sent) == ["1", "3"]


def test_a_failing_delivery_fails_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours sends one message back to the queue, and no other of the batch."""
    bodies = batch(world, 3)
    inner = delivery_store.attempt_write

    def broken(id_: str, *args: Any) -> Any:
        if id_ == world.deliveries()[1].delivery_id:
            raise Retryable("contended")
        return inner(id_, *args)

    monkeypatch.setattr(delivery_store, "attempt_write", broken)
    failed = worker.handle_tasks(bodies)
    assert [Message.model_validate_json(bodies[id_]).delivery_id for id_ in failed] == [
        world.deliveries()[1].delivery_id
    ]
    assert world.counters()["delivered"] == 2


def test_a_failing_task_fails_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed drain comes again; the other deliveries are made."""
    bodies = batch(world, 2)

    def contended(*_: Any) -> int:
        raise Retryable("contended")

    monkeypatch.setattr(circuit_breaker, "drain", contended)
    assert worker.handle_tasks(bodies | {"d": Message(task=Task.DRAIN, webhook_id=1).model_dump_json()}) == [
        "d"
    ]
    assert world.counters()["delivered"] == 2


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "[]",
        '{"task": "deliver", "webhook_id": 1}',
        '{"task": "drain", "webhook_id": 1, "delivery_id": "x"}',
    ],
)
def test_a_message_nobody_understands_fails_alone(world: World, broken: str) -> None:
    """A malformed message goes back, and at last to the dead-letter queue; the rest of the batch is done."""
    bodies = batch(world, 2)
    assert worker.handle_tasks({"b": broken} | bodies) == ["b"]
    assert world.counters()["delivered"] == 2


def test_the_same_delivery_twice_in_a_batch_is_made_once(world: World) -> None:
    """Two messages about one delivery lead to one attempt, and both are deleted."""
    bodies = batch(world, 1)
    assert worker.handle_tasks(bodies | {"again": bodies["m-0"]}) == []
    assert len(world.sent) == 1
