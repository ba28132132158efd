"""Events to the WebSocket connections they concern, prices, and the first message of a new connection."""

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
    """Pushes a batch: its groups side by side, each group's messages together."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in event["Records"]:
        groups[record["attributes"]["MessageGroupId"]].append(record)
    with ThreadPoolExecutor(_THREADS) as pool:
        return {
            "batchItemFailures": [
                failure for failures in pool.map(_pushed, groups.values()) for failure in failures
            ]
        }


def _pushed(records: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Pushes one group; returns what SQS has to deliver again.

    All of it, since clients drop what they have seen.
    """
    try:
        push([record["body"] for record in records])
    except Exception:  # noqa: BLE001 - whatever befell one group, the others of the batch are served
        log.exception("group not pushed")
        return [{"itemIdentifier": record["messageId"]} for record in records]
    return []
