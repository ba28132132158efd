"""A cloud, a bot, and what Telegram posts."""

from types import SimpleNamespace

import boto3
import pytest

from chalicelib import config
from chalicelib.users.create import create_user
from functions import notify_telegram
from functions.serve_api import app
from testkit import telegram_api
from testkit.cloud import emulated
from testkit.gateway import CONTEXT, call, queue_event
from testkit.records import bearer

CHAT = 4567
SECRET = "a secret of the webhook"


@pytest.fixture(autouse=True)
def cloud(monkeypatch):
    with emulated():
        monkeypatch.setenv("TRADEHOOK_TELEGRAM_WEBHOOK_SECRET", SECRET)
        yield


@pytest.fixture
def telegram(cloud):
    """The Bot API's stand-in."""
    with telegram_api.running() as stand_in:
        yield stand_in


@pytest.fixture
def user(cloud):
    """User 1, without a chat."""
    return bearer(create_user(by="test", user_id=1).user_id)


def post(update, secret=SECRET):
    """Posts an update as Telegram does."""
    headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
    return call(app, "POST", "/telegram/webhook", update, headers=headers)


def write(text, *, update_id=1, chat_id=CHAT, language="en", type_="private"):
    """Sends a message to the bot."""
    sender = {
        "id": chat_id,
        "first_name": "Ada",
        "username": "ada",
        "language_code": language,
        "is_bot": False,
    }
    message = {
        "message_id": 9,
        "date": 1,
        "chat": {"id": chat_id, "type": type_},
        "from": sender,
        "text": text,
    }
    return post({"update_id": update_id, "message": message})


def drain(*, times=10):
    """Runs notify_telegram on its queue, as SQS would; returns the messages that must come again."""
    sqs, failed = boto3.client("sqs"), []
    for _ in range(times):
        url = config.queue("telegram")
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get(
            "Messages", []
        )
        if not found:
            break
        answer = notify_telegram.handler(queue_event(found), CONTEXT)
        again = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        failed += sorted(again)
        for message in found:
            if message["MessageId"] not in again:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return failed


def texts(stand_in, chat_id=CHAT):
    """What a chat got."""
    return [message["text"] for message in stand_in.sent if message["chat"]["id"] == chat_id]


def record(body, *, group="user#1", message_id="m1", receives=1):
    """One record of an SQS event."""
    return {
        "messageId": message_id,
        "receiptHandle": f"handle-{message_id}",
        "body": body,
        "attributes": {"MessageGroupId": group, "ApproximateReceiveCount": str(receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:test.fifo",
        "awsRegion": "eu-west-1",
    }


def namespace(**values):
    return SimpleNamespace(**values)
