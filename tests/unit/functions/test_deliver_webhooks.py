"""The delivery function: two queues in, failed messages out."""

import threading
from typing import Any

import pytest

from chalicelib.errors import Retryable
from chalicelib.events.models import LoggedEvent
from chalicelib.webhooks import work
from chalicelib.webhooks.queue import Message
from functions import deliver_webhooks

EVENT = (
    '{"stream": "admin", "sequence": %d, "event_id": "e%d", "type": "order.filled", "payload": {}, "entity": "order#1",'
    ' "user_id": "7", "timestamp": "2026-03-02T12:00:00+00:00"}'
)


def record(number: int, body: str, queue: str, group: str = "admin") -> dict[str, Any]:
    return {
        "messageId": f"m-{number}",
        "receiptHandle": "r",
        "body": body,
        "attributes": {"MessageGroupId": group},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:1:{queue}",
        "awsRegion": "eu-central-1",
    }


def test_events_are_matched_in_the_order_of_their_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing event holds back those behind it in its stream; the ones before it are done."""
    matched = []

    def match(event: LoggedEvent) -> None:
        if event.sequence == 2:
            raise Retryable("contended")
        matched.append(event.sequence)

    monkeypatch.setattr(work, "match", match)
    records = [record(number, EVENT % (number, number), "tradehook-dev-webhooks.fifo") for number in (1, 2, 3)]
    answer = deliver_webhooks.handler({"Records": records}, None)
    assert matched == [1]
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["m-2", "m-3"]


def test_deliveries_are_made_side_by_side_and_fail_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All messages of a batch are under way at once, and a failing one comes back without the others."""
    together = threading.Barrier(10, timeout=10)

    def do(message: Message) -> None:
        together.wait()
        if message.webhook_id == 3:
            raise Retryable("contended")

    monkeypatch.setattr(work, "do", do)
    bodies = [Message(task="deliver", webhook_id=number, delivery_id="msg_x").model_dump_json() for number in range(10)]
    records = [record(number, body, "tradehook-dev-deliveries", f"webhook-{number}") for number, body in enumerate(bodies)]
    answer = deliver_webhooks.handler({"Records": records}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-3"}]}


def test_a_message_nobody_understands_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken message goes back, and in the end to the dead-letter queue; the rest of the batch is done."""
    done = []
    monkeypatch.setattr(work, "do", done.append)
    good = Message(task="drain", webhook_id=1)
    records = [record(1, "{", "deliveries"), record(2, good.model_dump_json(), "deliveries")]
    assert deliver_webhooks.handler({"Records": records}, None) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert done == [good]
