"""Pushes events, prices and first messages to WebSocket connections."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib import aws
from chalicelib.realtime.push import push
from chalicelib.telemetry import log

aws.prepare("dynamodb", "sqs")

_THREADS = 10


def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Pushes a batch: groups concurrently, each group's messages together."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in event["Records"]:
        groups[record["attributes"]["MessageGroupId"]].append(record)
    with ThreadPoolExecutor(_THREADS) as pool:
        return {
            "batchItemFailures": [
                failure for failures in pool.map(_push_group, groups.values()) for failure in failures
            ]
        }


def _push_group(records: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Pushes one group. Returns the records that SQS must redeliver.

    After a failure that is the whole group: clients drop events that they have seen.
    """
    try:
        push([record["body"] for record in records])
    except Exception:  # noqa: BLE001 - whatever befell one group, the others of the batch are served
        log.exception("pushing a group failed, retrying")
        return [{"itemIdentifier": record["messageId"]} for record in records]
    return []
