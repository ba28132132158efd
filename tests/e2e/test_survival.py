"""Signals that must be neither lost nor doubled during faults.

Bursts, duplicates, killed workers, a restart of the cloud.
"""

import asyncio
import json
import uuid
from typing import Any

import aiohttp
import pytest

from tests.e2e.calls import eventually, get, heard, paper, settled
from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e


def burst(stack: Running, size: int) -> list[tuple[int, str]]:
    """Sends `count` different alerts at once. Returns the status and signal id of each."""

    async def send_all() -> list[tuple[int, str]]:
        headers = {"X-Webhook-Token": stack.env["TRADEHOOK_PAPER_TOKEN"]}
        async with aiohttp.ClientSession(headers=headers) as session:

            async def send(index: int) -> tuple[int, str]:
                body = {
                    "symbol": "AAPL",
                    "side": "buy",
                    "qty": 1,
                    "price": 10 + index / 100,
                    "alert_id": uuid.uuid4().hex,
                }
                async with session.post(f"{stack.url}/api/webhook", json=body) as answer:
                    return answer.status, answer.headers.get("X-Signal-Id", "")

            return await asyncio.gather(*(send(index) for index in range(size)))

    return asyncio.run(send_all())


def fills(stack: Running, signal_ids: list[str]) -> list[Any]:
    """The status of each order of these signals."""
    return [order["status"] for signal_id in signal_ids for order in settled(stack, signal_id)["orders"]]


def test_a_hundred_alerts_at_once(stack: Running) -> None:
    """A hundred alerts in the same instant, every function cold, are all acknowledged and all filled, each
    once.
    """
    stack.restart()
    answers = burst(stack, 100)
    assert {status for status, _ in answers} <= {200, 202}
    assert fills(stack, [signal_id for _, signal_id in answers]) == ["filled"] * 100


def test_killed_workers(stack: Running) -> None:
    """Alerts whose order workers are killed again and again while they run fill once each, all the same."""
    answers = [paper(stack, _alert(index), Prefer="respond-async") for index in range(10)]
    for _ in range(5):
        stack.kill_workers("execute_orders-paper")
        answers.append(paper(stack, _alert(len(answers)), Prefer="respond-async"))
    assert {answer.status_code for answer in answers} == {202}
    signal_ids = [answer.json()["signal_id"] for answer in answers]
    assert fills(stack, signal_ids) == ["filled"] * len(signal_ids)


def test_the_same_message_twice(stack: Running) -> None:
    """An order message that SQS delivers twice makes one order, one fill, one event."""
    answer = paper(stack, _alert(1), Prefer="wait=20")
    signal_id = answer.headers["X-Signal-Id"]
    trace = settled(stack, signal_id)
    account_id = trace["executions"][0]["account_id"]
    stored = stack.cloud.client("dynamodb").get_item(
        TableName=stack.cloud.table("signals"), Key={"signal_id": {"S": signal_id}}
    )["Item"]
    message = _instruction(stored)
    event = {"Records": [_record(message, account_id), _record(message, account_id)]}
    done = stack.cloud.client("lambda").invoke(
        FunctionName=stack.cloud.function("execute_orders-paper"), Payload=json.dumps(event).encode()
    )
    assert json.loads(done["Payload"].read()) == {"batchItemFailures": []}
    assert len(settled(stack, signal_id)["orders"]) == 1
    told = [
        item
        for item in stack.items("events")
        if signal_id in json.dumps(item) and item["stream"]["S"] == "admin"
    ]
    assert sorted(item["type"]["S"] for item in told) == ["order.filled", "signal.accepted"]


def test_a_restart_of_the_cloud(stack: Running) -> None:
    """After a clean restart everything is still there, and events flow on from where they were."""
    before = paper(stack, _alert(2), Prefer="wait=20").headers["X-Signal-Id"]
    settled(stack, before)
    assert eventually(
        lambda: not stack.items("outbox"), within_s=90
    )  # a hundred alerts may still be on their way
    last = max(int(item["sequence"]["N"]) for item in stack.items("events") if item["stream"]["S"] == "admin")
    stack.restart()
    assert get(stack, f"/signals/{before}").json()["status"] == "settled"
    messages = heard(
        stack,
        "TRADEHOOK_ADMIN_TOKEN",
        [],
        lambda heard: any(message["type"] == "order.filled" for message in heard),
        lambda: paper(stack, _alert(3), Prefer="wait=20"),
    )
    sequences = [message["sequence"] for message in messages if "sequence" in message]
    assert sequences == list(range(last + 1, last + 1 + len(sequences)))


def _alert(index: int) -> dict[str, Any]:
    return {
        "symbol": "AAPL",
        "side": "buy",
        "qty": 1,
        "price": 20 + index / 100,
        "alert_id": uuid.uuid4().hex,
    }


def _instruction(stored: dict[str, Any]) -> str:
    """The order message of a stored signal, as acceptance sent it."""
    from boto3.dynamodb.types import TypeDeserializer

    item = {name: TypeDeserializer().deserialize(value) for name, value in stored.items()}
    [target] = item["targets"]
    return json.dumps(
        item["instruction"] | dict(zip(("account_id", "exchange", "weight"), target, strict=True)),
        default=str,
    )


def _record(body: str, group: str) -> dict[str, Any]:
    return {
        "messageId": uuid.uuid4().hex,
        "receiptHandle": "handle",
        "body": body,
        "attributes": {"MessageGroupId": group, "ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:tradehook-local-orders-paper.fifo",
        "awsRegion": "us-east-1",
    }
