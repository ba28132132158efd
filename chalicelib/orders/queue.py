"""The order queues: one per exchange, one message group per account."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from chalicelib import aws, config
from chalicelib.errors import Retryable
from chalicelib.events.models import event_id
from chalicelib.orders.models import (
    CancelOrder,
    Flatten,
    Instruction,
    KeepDeadline,
    PriceUpdate,
    ReconcileAccount,
)
from chalicelib.telemetry import log

Message = Instruction | PriceUpdate | ReconcileAccount | CancelOrder | KeepDeadline | Flatten

_AT_ONCE = 10  # SQS takes at most ten messages in one SendMessageBatch
_THREADS = 8


def send_messages(messages: Sequence[Message]) -> None:
    """Queues messages. Idempotent.

    SQS drops duplicates for five minutes. The order store detects later ones.

    Raises:
        Retryable: SQS did not take all messages.
    """
    by_exchange: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        by_exchange[message.exchange].append(message)
    batches = [
        (exchange, queued[start : start + _AT_ONCE])
        for exchange, queued in by_exchange.items()
        for start in range(0, len(queued), _AT_ONCE)
    ]
    if len(batches) == 1:
        _send_batch(*batches[0])
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda batch: _send_batch(*batch), batches))


def _send_batch(exchange: str, batch: Sequence[Message]) -> None:
    url = config.queue(f"orders-{exchange}")
    answer = aws.client("sqs").send_message_batch(
        QueueUrl=url, Entries=[_entry(index, message) for index, message in enumerate(batch)]
    )
    if failed := answer.get("Failed"):
        raise Retryable(f"SQS refused {len(failed)} of {len(batch)} messages: {failed[0].get('Code')}")


def _entry(index: int, message: Message) -> dict[str, Any]:
    match message:
        case Instruction():
            cause = message.signal_id
        case PriceUpdate():
            cause = message.update_id
        case ReconcileAccount():
            cause = message.follow_id
        case CancelOrder():
            cause = message.cancel_id
        case KeepDeadline():
            cause = event_id(message.deadline_id, message.due_at.isoformat())
        case Flatten():
            cause = message.flatten_id
    return {
        "Id": str(index),
        "MessageBody": message.model_dump_json(),
        "MessageGroupId": message.account_id,
        "MessageDeduplicationId": f"{cause}:{message.account_id}",
    }


def delete(records: Sequence[Mapping[str, Any]]) -> None:
    """Deletes handled messages, so that the next messages of their groups are delivered at once. Best effort.

    Lambda deletes a batch only when the whole batch is done. One slow account would delay the others.
    """
    for record in records:
        name = record["eventSourceARN"].rpartition(":")[2]
        url = config.queue(name[name.index("orders-") :].removesuffix(".fifo"))
        try:
            aws.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=record["receiptHandle"])
        except ClientError as error:
            log.warning(
                "early message deletion failed, left to the batch",
                extra={"fault": error.response["Error"]["Code"]},
            )
