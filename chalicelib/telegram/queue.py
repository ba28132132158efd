"""The queue `telegram`: events from the topic, the bot's replies, and connection strings to hand out.

A user's messages share a group with the user's events, so a chat gets everything in order. A connection
string is not in the
queue: only whom to send it to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from chalicelib import aws, config
from chalicelib.events.models import user_stream

_FIRST_PAUSE_S = 5
_LONGEST_PAUSE_S = 300


class Message(BaseModel):
    """Something to send that is no event.

    Attributes:
        message_id: The same whenever the same is sent, so sending it twice sends it once.
        user_id: Whose chat it is; None for a stranger's.
        text: What to send; None for the user's connection string.
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
    """Has the failed records come again after a pause, those of a group together, so that they keep their order.

    Args:
        failed: Message ids.
        pauses: Seconds that Telegram asked for, by group; other groups wait longer from try to try.
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
