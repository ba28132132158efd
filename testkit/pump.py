"""Runs the queues and streams of the emulated cloud by hand, so that a test controls the order."""

import json
from typing import Any

from chalicelib import aws, config
from functions import add_up_trades, execute_orders, publish_events
from testkit.gateway import CONTEXT, queue_event, stream_event

EXCHANGES = ("paper", "binance", "bybit", "okx")


def messages(queue: str) -> list[dict[str, Any]]:
    """Returns every message that a queue delivers now."""
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
    """Lets the order workers handle their messages, as SQS would. Returns the messages."""
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
    """Passes the whole outbox to the publisher."""
    if waiting := items("outbox"):
        publish_events.handler(stream_event(waiting), CONTEXT)


def add_up() -> None:
    """Passes all trades to the function that adds them up, as the table's stream does."""
    if trades := sorted(items("trades"), key=lambda item: str(item["closed"])):
        add_up_trades.handler(stream_event(trades, ("user_id", "closed")), CONTEXT)


def items(table: str) -> list[dict[str, Any]]:
    """Returns every item of a table."""
    answer = aws.client("dynamodb").scan(TableName=config.table(table), ConsistentRead=True)
    return [aws.from_dynamodb(item) for item in answer["Items"]]


def events(stream: str = "admin") -> list[dict[str, Any]]:
    """Returns the event log of a stream, in order, without its counter."""
    return sorted(
        (item for item in items("events") if item["stream"] == stream and item["sequence"]),
        key=lambda item: item["sequence"],
    )


def bodies(queue: str) -> list[dict[str, Any]]:
    """Returns the JSON bodies of a queue's messages."""
    return [json.loads(message["Body"]) for message in messages(queue)]
