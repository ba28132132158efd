"""Batches of FIFO messages: a slow group delays only its own messages."""

from threading import Event
from typing import Any

from chalicelib import aws, config
from chalicelib.orders import queue
from functions.fifo import each_group
from testkit.cloud import emulated


def message(number: int, group: str) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"r{number}",
        "body": group,
        "attributes": {"MessageGroupId": group},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:1:tradehook-dev-orders-okx.fifo",
        "awsRegion": "eu-west-1",
    }


def test_a_group_that_is_done_is_released_while_another_goes_on() -> None:
    """The quick account's messages are released before the slow account's message ends."""
    released: list[list[str]] = []
    done = Event()

    def handle(record: Any) -> None:
        if record.body == "slow":
            assert done.wait(5)

    def release(records: list[dict[str, Any]]) -> None:
        released.append([each["messageId"] for each in records])
        done.set()

    answer = each_group(
        {"Records": [message(1, "slow"), message(2, "quick"), message(3, "quick")]}, handle, release
    )

    assert answer == {"batchItemFailures": []}
    assert released == [["m2", "m3"], ["m1"]]


def test_a_group_that_failed_is_not_released() -> None:
    """Its messages come again."""
    released: list[str] = []

    def handle(record: Any) -> None:
        if record.body == "bad":
            raise ValueError

    each_group(
        {"Records": [message(1, "bad"), message(2, "good")]},
        handle,
        lambda records: released.extend(r["messageId"] for r in records),
    )
    assert released == ["m2"]


def test_deleting_lets_the_groups_next_message_through() -> None:
    """SQS delivers the next message of a group once the one before it is deleted, whatever else the batch
    does.
    """
    with emulated():
        sqs, url = aws.client("sqs"), config.queue("orders-okx")
        for number in (1, 2):
            sqs.send_message(
                QueueUrl=url,
                MessageBody=str(number),
                MessageGroupId="quick",
                MessageDeduplicationId=str(number),
            )
        [first] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"]
        assert "Messages" not in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)

        queue.delete([message(1, "quick") | {"receiptHandle": first["ReceiptHandle"]}])

        [following] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"]
        assert following["Body"] == "2"


def test_a_message_that_cannot_be_deleted_does_no_harm() -> None:
    """Lambda deletes it when the batch ends."""
    with emulated():
        queue.delete([message(1, "quick")])
