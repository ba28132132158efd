"""The delivery function: two queues in, failed messages out."""

from typing import Any

import pytest

from chalicelib.errors import Retryable
from chalicelib.events.models import LoggedEvent
from chalicelib.webhooks.delivery import worker
from functions import deliver_webhooks

EVENT = (
    '{"stream": "admin", "sequence": %d, "event_id": "e%d", "type": "order.filled", "payload": {},'
    ' "entity": "order#1", "user_id": "7", "timestamp": "2026-03-02T12:00:00+00:00"}'
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
    """A failing event blocks those behind it in its stream; earlier ones are done."""
    matched = []

    def match(event: LoggedEvent) -> None:
        if event.sequence == 2:
            raise Retryable("contended")
        matched.append(event.sequence)

    monkeypatch.setattr(worker, "match_event", match)
    records = [
        record(number, EVENT % (number, number), "tradehook-dev-webhooks.fifo") for number in (1, 2, 3)
    ]
    answer = deliver_webhooks.handler({"Records": records}, None)
    assert matched == [1]
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["m-2", "m-3"]


def test_a_batch_of_deliveries_is_done_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole batch is handed on, and what has to come again is named."""
    monkeypatch.setattr(
        worker, "handle_tasks", lambda bodies: [id_ for id_, body in bodies.items() if body == "bad"]
    )
    records = [
        record(number, body, "tradehook-dev-deliveries")
        for number, body in enumerate(("good", "bad", "good"))
    ]
    assert deliver_webhooks.handler({"Records": records}, None) == {
        "batchItemFailures": [{"itemIdentifier": "m-1"}]
    }
