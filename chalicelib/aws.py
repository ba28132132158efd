"""AWS clients and DynamoDB writes, as the rest of the package uses them.

Every call has a timeout, and is retried by botocore's standard mode: 3 tries in all, with backoff and jitter,
for throttling, 5xx and connection errors. That is safe because every write here is idempotent by its key or
condition.
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

# Without botocore's own look at the arguments, which takes as long as all else it does for a call: AWS looks
# at them too.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=8,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=32,
    parameter_validation=False,
)
# What a single write meets while a transaction is at the same item, and what DynamoDB answers when it is
# asked too much: nothing was
# written, so the write is tried again
# (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling).
_CONFLICT = "TransactionConflictException"
_THROTTLED = frozenset(
    {"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"}
)
_TRIES = 5
_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


class WriteRefused(TradehookError):
    """A condition did not hold, so the transaction wrote nothing.

    Attributes:
        failed: For each write of the transaction, in order: `None` where its condition held, else the item as
            it stands (empty if there is none).
    """

    def __init__(self, failed: Sequence[Item | None]) -> None:
        super().__init__("a condition of the transaction did not hold")
        self.failed = failed


@cache
def client(service: str, endpoint: str | None = None) -> Any:
    """A boto3 client, made once per process."""
    return boto3.client(service, endpoint_url=endpoint or config.aws_endpoint(), config=_CONFIG)


def prepare(*services: str) -> None:
    """Makes clients while Lambda starts a function, when it has a whole processor to itself.

    Does nothing elsewhere.
    """
    if config.in_lambda():
        for service in services:
            client(service)


def to_dynamodb(values: Mapping[str, Any]) -> Item:
    """Python values as DynamoDB attributes. Raises TypeError for a float: money is Decimal."""
    return {name: _serializer.serialize(value) for name, value in values.items()}


def from_dynamodb(item: Mapping[str, Any]) -> Item:
    """DynamoDB attributes as Python values; numbers are Decimal."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}


def put_write(table: str, item: Mapping[str, Any], condition: str | None = None, **values: Any) -> Write:
    """A put for `transact`; `condition` names its values `:name`, given as keywords."""
    write: Item = {"TableName": config.table(table), "Item": to_dynamodb(item)}
    return {"Put": _with_condition(write, condition, values)}


def update_write(table: str, key: Key, expression: str, condition: str | None = None, **values: Any) -> Write:
    """An update for `transact`.

    Attribute names that DynamoDB reserves are written `#name` and need no further mention.
    """
    write: Item = {"TableName": config.table(table), "Key": to_dynamodb(key), "UpdateExpression": expression}
    return {"Update": _with_condition(write, condition, values, expression)}


def delete_write(table: str, key: Key, condition: str | None = None, **values: Any) -> Write:
    """A delete for `transact`."""
    write: Item = {"TableName": config.table(table), "Key": to_dynamodb(key)}
    return {"Delete": _with_condition(write, condition, values)}


def check_write(table: str, key: Key, condition: str, **values: Any) -> Write:
    """A condition on an item that `transact` does not write."""
    write: Item = {"TableName": config.table(table), "Key": to_dynamodb(key)}
    return {"ConditionCheck": _with_condition(write, condition, values)}


def transact(writes: Sequence[Write]) -> None:
    """All of the writes or none of them.

    Raises:
        WriteRefused: A condition did not hold.
        Retryable: Another transaction was at the same items.
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
    """One write by itself; returns what an update has set, if it is asked for.

    Raises:
        WriteRefused: Its condition did not hold.
        Retryable: A transaction was at the item in each try, or DynamoDB is throttling.
    """
    [(operation, arguments)] = single.items()
    call = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}[operation]
    asked = {"ReturnValues": "UPDATED_NEW"} if returning else {}
    for attempt in range(_TRIES):
        try:
            return from_dynamodb(
                getattr(client("dynamodb"), call)(**arguments, **asked).get("Attributes", {})
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ConditionalCheckFailedException":
                raise WriteRefused([from_dynamodb(error.response.get("Item", {}))]) from error
            if code in _THROTTLED:  # botocore has paused and tried again already
                raise Retryable(f"not written: {code}") from error
            if code != _CONFLICT:
                raise
        pause(attempt)
    raise Retryable("a transaction was at the same item in each of several tries")


def pause(attempt: int) -> None:
    """Waits before another try: at most 20, 40, 80 ...

    320 ms, evenly spread, so that those who collided do not collide again.
    """
    time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 4)))  # noqa: S311 - a pause, no secret


def get(table: str, key: Key) -> Item | None:
    """One item, read consistently; None if there is none."""
    answer = client("dynamodb").get_item(
        TableName=config.table(table), Key=to_dynamodb(key), ConsistentRead=True
    )
    return from_dynamodb(answer["Item"]) if "Item" in answer else None


def get_many(wanted: Sequence[tuple[str, Key]]) -> list[Item | None]:
    """Several items of several tables in one consistent call, in the order asked for.

    None where there is none.

    At most 100. Raises Retryable when DynamoDB has not given all of them after three rounds.
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
    """Deletes items unconditionally, 25 in a call.

    Raises Retryable when DynamoDB has not taken all after several tries.
    """
    _write_many(config.table(table), [{"DeleteRequest": {"Key": to_dynamodb(key)}} for key in keys])


def put_many(table: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Puts items unconditionally, 25 in a call.

    Raises Retryable when DynamoDB has not taken all after several tries.
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
            raise Retryable("DynamoDB has not taken a batch of writes")


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
    """One page of a query.

    Its items, or `only` these attributes of them, and where the next page starts (None at the end).
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
    following = answer.get("LastEvaluatedKey")
    return [from_dynamodb(item) for item in answer["Items"]], from_dynamodb(following) if following else None


def index_shard(key: str) -> str:
    """The value by which an item stands in a sparse index whose items come and go, one of `SHARDS`.

    A single value would be a single partition, of at most 1,000 writes a second.
    """
    return SHARDS[zlib.crc32(key.encode()) % len(SHARDS)]


def query_all(table: str, condition: str, **arguments: Any) -> Iterable[Item]:
    """Every item of a query, page after page."""
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
    """How many items a query gives.

    None if there are more than `most`, or if more than `looked_at` had to be looked at to tell.
    """
    arguments = _query_arguments(
        table, condition, index, filter_expression, values, newest_first=newest_first
    )
    counted = looked = 0
    while True:
        limit = looked_at - looked if filter_expression else most + 1 - counted
        answer = client("dynamodb").query(**arguments, Select="COUNT", Limit=limit)
        counted += int(answer["Count"])
        looked += int(answer["ScannedCount"])
        if counted > most:
            return None
        if "LastEvaluatedKey" not in answer:
            return counted
        if looked >= looked_at:
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
    """The `:value` and `#name` tables that go with the expressions."""
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
