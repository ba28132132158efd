"""Sends Telegram notifications, one message per record.

Users are served concurrently, each user's messages in order.
"""

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.telegram import api, queue
from chalicelib.telegram.notify import notify
from chalicelib.telemetry import log
from functions.fifo import each_group


def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Sends a batch. SQS redelivers what Telegram did not take.

    No-op without a bot.
    """
    if not api.configured():
        _say_once()
        return {"batchItemFailures": []}
    pauses: dict[str, int] = {}

    def tell(record: SQSRecord) -> None:
        try:
            notify(record.body)
        except api.Limited as limited:
            pauses[record.attributes.message_group_id or ""] = limited.retry_after
            raise

    answer = each_group(event, tell)
    queue.hold(
        event["Records"],
        frozenset(failure["itemIdentifier"] for failure in answer["batchItemFailures"]),
        pauses,
    )
    return answer


@cache
def _say_once() -> None:
    log.warning(
        "no Telegram bot configured: TRADEHOOK_TELEGRAM_BOT_TOKEN is not set, notifications are not sent"
    )
