"""Turns events into deliveries (FIFO queue `webhooks`) and attempts them (standard queue `deliveries`)."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.events.models import LoggedEvent
from chalicelib.webhooks.delivery import worker
from functions.fifo import each_group_together


def handler(event: dict[str, Any], _context: LambdaContext) -> Any:
    """Handles a batch of one of the two queues."""
    if event["Records"][0]["eventSourceARN"].endswith(".fifo"):
        return each_group_together(
            event,
            lambda records: worker.match_event(
                *(LoggedEvent.model_validate_json(record.body) for record in records)
            ),
        )
    failed = worker.handle_tasks({record["messageId"]: record["body"] for record in event["Records"]})
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
