"""The function that tells users by Telegram."""

from io import StringIO

import pytest

from functions import notify_telegram
from testkit.cloud import emulated
from testkit.gateway import CONTEXT


def event(body):
    record = {
        "messageId": "m1",
        "receiptHandle": "handle",
        "body": body,
        "attributes": {"MessageGroupId": "user#1", "ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:test.fifo",
        "awsRegion": "eu-west-1",
    }
    return {"Records": [record]}


@pytest.fixture(autouse=True)
def cloud(monkeypatch):
    monkeypatch.delenv("TRADEHOOK_TELEGRAM_BOT_TOKEN", raising=False)
    with emulated():
        yield


def test_without_a_bot_it_says_so_once_and_takes_everything(monkeypatch):
    """A deployment without a bot lets messages go, and logs why once."""
    notify_telegram._say_once.cache_clear()
    written = StringIO()
    monkeypatch.setattr(notify_telegram.log.handlers[0], "stream", written)
    for _ in range(3):
        assert notify_telegram.handler(event("{}"), CONTEXT) == {"batchItemFailures": []}
    assert written.getvalue().count("no Telegram bot configured") == 1


def test_what_it_cannot_read_comes_again(monkeypatch):
    """A message it cannot make sense of ends in the dead-letter queue, not in nothing."""
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_BOT_TOKEN", "1:x")
    held = []
    monkeypatch.setattr(notify_telegram.queue, "hold", lambda _records, failed, _pauses: held.append(failed))
    assert notify_telegram.handler(event("nonsense"), CONTEXT) == {
        "batchItemFailures": [{"itemIdentifier": "m1"}]
    }
    assert held == [frozenset(["m1"])]
