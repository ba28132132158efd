"""The queue `telegram`: events from the topic, the bot's replies, and connection strings to hand out.

A user's messages and events share a message group, so a chat receives them in order. A connection string is
never in the queue, only its recipient.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from chalicelib import aws, config
from chalicelib.events.models import user_stream

_FIRST_PAUSE_S = 5
_LONGEST_PAUSE_S = 300


class Message(BaseModel):
    """A text to send that is no event.

    Attributes:
        message_id: Equal for equal messages, so that a repeated message is sent once.
        user_id: The user of the chat. None if the chat belongs to no user.
        text: The text to send. None for the user's connection string.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    chat_id: int
    message_id: str
    user_id: str | None
    text: str | None = None


def send(message: Message) -> None:
    """Queues a message."""
    aws.client("sqs").send_message(
        QueueUrl=config.queue("telegram"),
        MessageBody=message.model_dump_json(),
        MessageGroupId=user_stream(message.user_id) if message.user_id else f"chat#{message.chat_id}",
        MessageDeduplicationId=f"{message.chat_id}:{message.message_id}",
    )


def hold(records: Sequence[Mapping[str, Any]], failed: frozenset[str], pauses: Mapping[str, int]) -> None:
    """Delays the redelivery of the failed records. A group has one delay, so that its order is kept.

    Args:
        failed: Message ids.
        pauses: Seconds that Telegram asked for, by group. Other groups back off exponentially.
    """
    waits: dict[str, int] = {}
    entries: list[dict[str, Any]] = []
    for record in records:
        if record["messageId"] not in failed:
            continue
        group = record["attributes"]["MessageGroupId"]
        tries = int(record["attributes"]["ApproximateReceiveCount"])
        waits.setdefault(
            group, pauses.get(group) or min(_FIRST_PAUSE_S * 2 ** min(tries - 1, 10), _LONGEST_PAUSE_S)
        )
        entries.append(
            {
                "Id": str(len(entries)),
                "ReceiptHandle": record["receiptHandle"],
                "VisibilityTimeout": waits[group],
            }
        )
    if entries:
        aws.client("sqs").change_message_visibility_batch(QueueUrl=config.queue("telegram"), Entries=entries)
