"""FIFO batches.

Groups run concurrently, each group in order. A failure blocks only its own group.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from chalicelib.telemetry import log

_THREADS = 10


def each_group(
    event: dict[str, Any],
    handle: Callable[[SQSRecord], Any],
    release: Callable[[list[dict[str, Any]]], None] | None = None,
) -> dict[str, Any]:
    """Handles every record. Returns the failed ones and their followers, which SQS then redelivers.

    Args:
        release: Called with the records of a finished group while others of the batch are still running, so
            that the group's next messages need not wait.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in event["Records"]:
        groups[record["attributes"]["MessageGroupId"]].append(record)

    def in_order(records: list[dict[str, Any]]) -> list[dict[str, str]]:
        processor = SqsFifoPartialProcessor(skip_group_on_error=True, logger=log)  # type: ignore[arg-type]  # Powertools' own Logger is no logging.Logger to mypy
        processor.raise_on_entire_batch_failure = False
        answer = process_partial_response(
            event={"Records": records}, record_handler=handle, processor=processor
        )
        if release and len(groups) > 1 and not answer["batchItemFailures"]:
            release(records)
        return [{"itemIdentifier": str(failure["itemIdentifier"])} for failure in answer["batchItemFailures"]]

    if len(groups) == 1:
        return {"batchItemFailures": in_order(event["Records"])}
    with ThreadPoolExecutor(_THREADS) as pool:
        return {
            "batchItemFailures": [
                failure for failures in pool.map(in_order, groups.values()) for failure in failures
            ]
        }


def each_group_together(
    event: dict[str, Any], handle: Callable[[Sequence[SQSRecord]], Any]
) -> dict[str, Any]:
    """Handles the records of each group in one call.

    If that fails, handles them one by one, so that a failing record blocks only those behind it.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in event["Records"]:
        groups[record["attributes"]["MessageGroupId"]].append(record)

    def together(records: list[dict[str, Any]]) -> list[dict[str, str]]:
        if len(records) > 1:
            try:
                handle([SQSRecord(record) for record in records])
            except Exception:  # noqa: BLE001 - each record is handled by itself below, where its own fault shows
                log.exception("batch failed, handling its records one by one")
            else:
                return []
        failed: list[dict[str, str]] = each_group({"Records": records}, lambda record: handle([record]))[
            "batchItemFailures"
        ]
        return failed

    with ThreadPoolExecutor(_THREADS) as pool:
        return {
            "batchItemFailures": [
                failure for failures in pool.map(together, groups.values()) for failure in failures
            ]
        }
