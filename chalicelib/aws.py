"""AWS clients and DynamoDB writes for the whole package.

Every call has a timeout. botocore's standard mode retries throttling, 5xx and connection errors: 3 tries in
all, with backoff and jitter. Retries are safe because every write is idempotent by its key or condition.
"""

import random
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib import config
from chalicelib.errors import Retryable, TradehookError

Item = dict[str, Any]
Key = Mapping[str, Any]
Write = dict[str, dict[str, Any]]

SHARDS = tuple("12345678")

# botocore's own parameter validation takes as long as the rest of a call. AWS validates the parameters too.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=8,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=32,
    parameter_validation=False,
)
# DynamoDB answers so when a transaction holds the item, or when it throttles. The write has had no effect and
# is tried again
# (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling).
_CONFLICT = "TransactionConflictException"
_THROTTLED = frozenset(
    {"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"}
)
_TRIES = 5
_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


class WriteRefused(TradehookError):
    """A condition failed, so the transaction wrote nothing.

    Attributes:
        failed: One entry for each write, in order. `None` if its condition held. Otherwise the item as
            stored, empty if there is none.
    """

    def __init__(self, failed: Sequence[Item | None]) -> None:
        super().__init__("condition of the transaction failed")
        self.failed = failed


@cache
def client(service: str, endpoint: str | None = None) -> Any:
    """Returns a boto3 client, created once per process."""
    return boto3.client(service, endpoint_url=endpoint or config.aws_endpoint(), config=_CONFIG)


def prepare(*services: str) -> None:
    """Creates clients during a function's init phase, when Lambda gives it a full processor.

    No-op outside Lambda.
    """
    if config.in_lambda():
        for service in services:
            client(service)


def to_dynamodb(values: Mapping[str, Any]) -> Item:
    """Returns Python values as DynamoDB attributes. Raises TypeError for a float: money is Decimal."""
    return {name: _serializer.serialize(value) for name, value in values.items()}


def from_dynamodb(item: Mapping[str, Any]) -> Item:
    """Returns DynamoDB attributes as Python values. Numbers are Decimal."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}


def put_write(table: str, item: Mapping[str, Any], condition: str | None = None, **values: Any) -> Write:
    """Returns a put for `transact`. `condition` refers to its values as `:name`, passed as keywords."""
    write: Item = {"TableName": config.table(table), "Item": to_dynamodb(item)}
    return {"Put": _with_condition(write, condition, values)}


def update_write(table: str, key: Key, expression: str, condition: str | None = None, **values: Any) -> Write:
    """Returns an update for `transact`.

    Write attribute names that DynamoDB reserves as `#name`. The placeholder is added here.
    """
    write: Item = {"TableName": config.table(table), "Key": to_dynamodb(key), "UpdateExpression": expression}
    return {"Update": _with_condition(write, condition, values, expression)}


def delete_write(table: str, key: Key, condition: str | None = None, **values: Any) -> Write:
    """Returns a delete for `transact`."""
    write: Item = {"TableName": config.table(table), "Key": to_dynamodb(key)}
    return {"Delete": _with_condition(write, condition, values)}


def check_write(table: str, key: Key, condition: str, **values: Any) -> Write:
    """Returns a condition on an item that `transact` does not write."""
    write: Item = {"TableName": config.table(table), "Key": to_dynamodb(key)}
    return {"ConditionCheck": _with_condition(write, condition, values)}


def transact(writes: Sequence[Write]) -> None:
    """Executes all of the writes or none.

    Raises:
        WriteRefused: A condition failed.
        Retryable: Another transaction held the same items, or DynamoDB is throttling.
    """
    try:
        client("dynamodb").transact_write_items(TransactItems=list(writes))
    except ClientError as error:
        if error.response["Error"]["Code"] != "TransactionCanceledException":
            raise
        reasons = error.response.get("CancellationReasons", [])
        codes = {reason.get("Code") for reason in reasons} - {"None", None}
        if codes and codes <= {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}:
            raise Retryable(f"transaction not written: {', '.join(sorted(codes))}") from error
        if "ConditionalCheckFailed" not in codes:
            raise
        raise WriteRefused(
            [
                from_dynamodb(reason.get("Item", {}))
                if reason.get("Code") == "ConditionalCheckFailed"
                else None
                for reason in reasons
            ]
        ) from error


def write(single: Write, *, returning: bool = False) -> Item:
    """Executes a single write. With `returning`, returns the attributes that an update has set.

    Raises:
        WriteRefused: The condition failed.
        Retryable: Every try met a transaction on the item, or DynamoDB is throttling.
    """
    [(operation, arguments)] = single.items()
    call = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}[operation]
    options = {"ReturnValues": "UPDATED_NEW"} if returning else {}
    for attempt in range(_TRIES):
        try:
            return from_dynamodb(
                getattr(client("dynamodb"), call)(**arguments, **options).get("Attributes", {})
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ConditionalCheckFailedException":
                raise WriteRefused([from_dynamodb(error.response.get("Item", {}))]) from error
            if code in _THROTTLED:  # botocore has already backed off and retried
                raise Retryable(f"write throttled: {code}") from error
            if code != _CONFLICT:
                raise
        pause(attempt)
    raise Retryable("item held by concurrent transactions in every try")


def pause(attempt: int) -> None:
    """Sleeps before a retry: at most 20, 40, 80, 160, then 320 ms.

    The sleep is evenly distributed, so that callers that collided do not collide again.
    """
    time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 4)))  # noqa: S311 - a pause, no secret


def get(table: str, key: Key) -> Item | None:
    """Returns one item, read consistently. None if it does not exist."""
    answer = client("dynamodb").get_item(
        TableName=config.table(table), Key=to_dynamodb(key), ConsistentRead=True
    )
    return from_dynamodb(answer["Item"]) if "Item" in answer else None


def get_many(wanted: Sequence[tuple[str, Key]]) -> list[Item | None]:
    """Returns up to 100 items of several tables in one consistent call, in the order requested.

    None stands for an item that does not exist. Raises Retryable if DynamoDB returns only part of the items
    in three rounds.
    """
    keys = [(config.table(table), to_dynamodb(key)) for table, key in wanted]
    requests: Item = {}
    for table, key in keys:
        tables = requests.setdefault(table, {"Keys": [], "ConsistentRead": True})
        if key not in tables["Keys"]:
            tables["Keys"].append(key)
    found: list[tuple[str, Item]] = []
    for _ in range(3):
        answer = client("dynamodb").batch_get_item(RequestItems=requests)
        found += [(table, item) for table, items in answer["Responses"].items() for item in items]
        requests = answer.get("UnprocessedKeys") or {}
        if not requests:
            break
    else:
        raise Retryable("DynamoDB is throttling a batch of reads")
    return [
        next(
            (from_dynamodb(item) for name, item in found if name == table and key.items() <= item.items()),
            None,
        )
        for table, key in keys
    ]


def delete_many(table: str, keys: Sequence[Key]) -> None:
    """Deletes items unconditionally, 25 per call.

    Raises Retryable if DynamoDB leaves items unprocessed after several tries.
    """
    _write_many(config.table(table), [{"DeleteRequest": {"Key": to_dynamodb(key)}} for key in keys])


def put_many(table: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Puts items unconditionally, 25 per call.

    Raises Retryable if DynamoDB leaves items unprocessed after several tries.
    """
    _write_many(config.table(table), [{"PutRequest": {"Item": to_dynamodb(item)}} for item in items])


def _write_many(table: str, writes: Sequence[Item]) -> None:
    for start in range(0, len(writes), 25):
        requests: Item = {table: list(writes[start : start + 25])}
        for attempt in range(_TRIES):
            try:
                requests = (
                    client("dynamodb").batch_write_item(RequestItems=requests).get("UnprocessedItems") or {}
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in _THROTTLED | {_CONFLICT}:
                    raise
            if not requests:
                break
            pause(attempt)
        else:
            raise Retryable("DynamoDB left a batch of writes unprocessed")


def query_page(
    table: str,
    condition: str,
    *,
    index: str | None = None,
    filter_expression: str | None = None,
    newest_first: bool = False,
    limit: int | None = None,
    start: Key | None = None,
    consistent: bool = False,
    only: Iterable[str] = (),
    **values: Any,
) -> tuple[list[Item], Item | None]:
    """Returns one page of a query and the key at which the next page starts.

    The key is None on the last page. `only` limits the attributes that are read.
    """
    arguments = _query_arguments(
        table, condition, index, filter_expression, values, newest_first=newest_first, only=only
    )
    if limit:
        arguments["Limit"] = limit
    if start:
        arguments["ExclusiveStartKey"] = to_dynamodb(start)
    if consistent:
        arguments["ConsistentRead"] = True
    answer = client("dynamodb").query(**arguments)
    next_key = answer.get("LastEvaluatedKey")
    return [from_dynamodb(item) for item in answer["Items"]], from_dynamodb(next_key) if next_key else None


def index_shard(key: str) -> str:
    """Returns an item's partition in a sparse index whose items come and go, one of `SHARDS`.

    A single value would be a single partition, with at most 1,000 writes per second.
    """
    return SHARDS[zlib.crc32(key.encode()) % len(SHARDS)]


def query_all(table: str, condition: str, **arguments: Any) -> Iterable[Item]:
    """Yields every item of a query, page by page."""
    start: Item | None = None
    while True:
        items, start = query_page(table, condition, start=start, **arguments)
        yield from items
        if start is None:
            return


def count(
    table: str,
    condition: str,
    *,
    most: int,
    looked_at: int,
    index: str | None = None,
    filter_expression: str | None = None,
    newest_first: bool = False,
    **values: Any,
) -> int | None:
    """Returns the number of items that a query matches.

    None if there are more than `most`, or if `looked_at` items were examined before the end.
    """
    arguments = _query_arguments(
        table, condition, index, filter_expression, values, newest_first=newest_first
    )
    total = examined = 0
    while True:
        limit = looked_at - examined if filter_expression else most + 1 - total
        answer = client("dynamodb").query(**arguments, Select="COUNT", Limit=limit)
        total += int(answer["Count"])
        examined += int(answer["ScannedCount"])
        if total > most:
            return None
        if "LastEvaluatedKey" not in answer:
            return total
        if examined >= looked_at:
            return None
        arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _query_arguments(
    table: str,
    condition: str,
    index: str | None,
    filter_expression: str | None,
    values: Mapping[str, Any],
    *,
    newest_first: bool,
    only: Iterable[str] = (),
) -> Item:
    arguments: Item = {
        "TableName": config.table(table),
        "KeyConditionExpression": condition,
        "ScanIndexForward": not newest_first,
    }
    projection = ", ".join(f"#{name}" for name in only)
    arguments |= _placeholders(values, condition, filter_expression, projection)
    arguments |= {"IndexName": index} if index else {}
    arguments |= {"ProjectionExpression": projection} if projection else {}
    return arguments | ({"FilterExpression": filter_expression} if filter_expression else {})


def _with_condition(write: Item, condition: str | None, values: Mapping[str, Any], *expressions: str) -> Item:
    if condition:
        write["ConditionExpression"] = condition
        write["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return write | _placeholders(values, condition, *expressions)


def _placeholders(values: Mapping[str, Any], *expressions: str | None) -> Item:
    """Returns the `:value` and `#name` tables for the expressions."""
    placeholders: Item = {}
    if values:
        placeholders["ExpressionAttributeValues"] = to_dynamodb(
            {f":{name}": value for name, value in values.items()}
        )
    words = (
        " ".join(filter(None, expressions))
        .replace(",", " ")
        .replace("(", " ")
        .replace(")", " ")
        .replace(".", " ")
        .split()
    )
    names = {word: word[1:] for word in words if word.startswith("#")}
    if names:
        placeholders["ExpressionAttributeNames"] = names
    return placeholders
