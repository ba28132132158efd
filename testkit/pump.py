"""Runs the queues and streams of the emulated cloud by hand, so that a test decides what happens when."""

import json
from typing import Any

from chalicelib import aws, config
from functions import execute_orders, publish_events
from testkit.gateway import CONTEXT, queue_event, stream_event

EXCHANGES = ("paper", "binance", "bybit", "okx")


def messages(queue: str) -> list[dict[str, Any]]:
    """Everything that is to be received from a queue now."""
    found: list[dict[str, Any]] = []
    while True:
        answer = aws.client("sqs").receive_message(
            QueueUrl=config.queue(queue), MaxNumberOfMessages=10, AttributeNames=["All"]
        )
        more = answer.get("Messages", [])
        if not more:
            return found
        found += more


def execute(*queues: str) -> list[dict[str, Any]]:
    """Lets the order workers handle what waits for them, as SQS would; returns what they were given."""
    handled = []
    for queue in queues or [f"orders-{exchange}" for exchange in EXCHANGES]:
        received = messages(queue)
        if not received:
            continue
        answer = execute_orders.handler(queue_event(received, queue), CONTEXT)
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in received:
            if message["MessageId"] not in failed:
                aws.client("sqs").delete_message(
                    QueueUrl=config.queue(queue), ReceiptHandle=message["ReceiptHandle"]
                )
        handled += received
    return handled


def publish() -> None:
    """Lets the publisher see everything that is in the outbox."""
    if waiting := items("outbox"):
        publish_events.handler(stream_event(waiting), CONTEXT)


def items(table: str) -> list[dict[str, Any]]:
    """Everything in a table."""
    answer = aws.client("dynamodb").scan(TableName=config.table(table), ConsistentRead=True)
    return [aws.from_dynamodb(item) for item in answer["Items"]]


def events(stream: str = "admin") -> list[dict[str, Any]]:
    """The event log of a stream, in order, its counter aside."""
    return sorted(
        (item for item in items("events") if item["stream"] == stream and item["sequence"]),
        key=lambda item: item["sequence"],
    )


def bodies(queue: str) -> list[dict[str, Any]]:
    """The JSON bodies of what waits in a queue."""
    return [json.loads(message["Body"]) for message in messages(queue)]
