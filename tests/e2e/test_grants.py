"""The local cloud enforces the grants of `stack.yaml`: without a grant, its call fails."""

import time
import uuid

import pytest

from tests.e2e.calls import eventually, paper
from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e


def alert(stack: Running) -> int:
    """The status of one small paper alert, waited for."""
    body = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 100, "alert_id": uuid.uuid4().hex}
    return paper(stack, body, Prefer="wait=20").status_code


@pytest.mark.parametrize(
    ("resource", "action"),
    [
        ("table:signals", "PutItem"),
        ("table:idempotency", "PutItem"),
        ("queue:orders-{exchange}", "SendMessage"),
    ],
)
def test_acceptance_without_a_grant(stack: Running, resource: str, action: str) -> None:
    """Without the grant nothing is acknowledged; with it again, alerts fill."""
    with stack.without_grant("receive_signals", resource, action):
        assert alert(stack) == 500
    assert alert(stack) == 200


def test_events_without_a_grant(stack: Running) -> None:
    """Without its grant on the topic no event leaves the outbox; with it again, those that waited do."""
    assert eventually(lambda: not stack.items("outbox"), within_s=100)
    with stack.without_grant("publish_events", "topic:events", "Publish"):
        assert alert(stack) == 200
        time.sleep(2)
        assert stack.items("outbox")
    assert eventually(lambda: not stack.items("outbox"), within_s=100)
