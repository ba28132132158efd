"""The deliveries queue: tasks that are due now or within 15 minutes.

A standard queue with the endpoint as message group: SQS fair queues then keep one endpoint's backlog from
delaying the others.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from pydantic import model_validator

from chalicelib import aws, config
from chalicelib.errors import Retryable
from chalicelib.webhooks.models import Frozen

REACH = timedelta(minutes=15)  # SQS's longest delay
_AT_ONCE = 10  # SQS takes at most ten messages in one SendMessageBatch


class Task(StrEnum):
    """Make an attempt at a delivery, release an endpoint's backlog, or probe a disabled endpoint."""

    DELIVER = "deliver"
    DRAIN = "drain"
    PROBE = "probe"


class Message(Frozen):
    """One task. Only `deliver` has a `delivery_id`."""

    task: Task
    webhook_id: int
    delivery_id: str | None = None

    @model_validator(mode="after")
    def _names_what_it_delivers(self) -> Self:
        if (self.delivery_id is not None) is not (self.task is Task.DELIVER):
            raise ValueError("a delivery_id belongs to `deliver`")
        return self


def send(messages: Sequence[tuple[Message, datetime]], now: datetime) -> None:
    """Queues tasks for their time, or for SQS's longest delay if that is sooner.

    Raises:
        Retryable: SQS did not take all of them.
    """
    for start in range(0, len(messages), _AT_ONCE):
        entries = [
            _entry(index, message, at - now)
            for index, (message, at) in enumerate(messages[start : start + _AT_ONCE])
        ]
        answer = aws.client("sqs").send_message_batch(QueueUrl=config.queue("deliveries"), Entries=entries)
        if failed := answer.get("Failed"):
            raise Retryable(f"SQS refused {len(failed)} of {len(entries)} messages: {failed[0].get('Code')}")


def _entry(index: int, message: Message, delay: timedelta) -> dict[str, Any]:
    entry = {
        "Id": str(index),
        "MessageBody": message.model_dump_json(exclude_none=True),
        "MessageGroupId": f"webhook-{message.webhook_id}",
    }
    seconds = math.ceil(min(max(delay, timedelta()), REACH).total_seconds())
    return entry | ({"DelaySeconds": seconds} if seconds else {})
