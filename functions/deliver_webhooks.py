"""Events become deliveries (FIFO queue `webhooks`), deliveries are attempted side by side (standard queue `deliveries`)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.events.models import LoggedEvent
from chalicelib.telemetry import log
from chalicelib.webhooks import work
from chalicelib.webhooks.queue import Message
from functions.fifo import each_group

_THREADS = 10


def handler(event: dict[str, Any], _context: LambdaContext) -> Any:
    """A batch of one of the two queues."""
    if event["Records"][0]["eventSourceARN"].endswith(".fifo"):
        return each_group(event, lambda record: work.match(LoggedEvent.model_validate_json(record.body)))
    with ThreadPoolExecutor(_THREADS) as pool:
        return {"batchItemFailures": [failure for failures in pool.map(_task, event["Records"]) for failure in failures]}


def _task(record: dict[str, Any]) -> list[Any]:
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False, logger=log)  # type: ignore[arg-type]  # it is a Logger in all but its class
    answer = process_partial_response(event={"Records": [record]}, record_handler=_do, processor=processor, context=None)
    return list(answer["batchItemFailures"])


def _do(record: SQSRecord) -> None:
    work.do(Message.model_validate_json(record.body))
