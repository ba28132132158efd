"""The billed usage of calls to the emulated AWS: requests, and DynamoDB's read and write units.

Rules for units: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html;
sizes of items:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html. The emulated
tables count neither indexes nor sizes, so this module does.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from chalicelib import config
from infra import stack

_Item = Mapping[str, Any]
_READ, _WRITE = 4096, 1024  # bytes per unit


@contextmanager
def billed() -> Iterator[Counter[str]]:
    """Sums the billed usage of the calls in the block, by the price names of infra/cost.yaml."""
    used: Counter[str] = Counter()
    real = BaseClient._make_api_call

    def counted(client: BaseClient, operation: str, arguments: Any) -> Any:
        service = client.meta.service_model.service_name
        if service != "dynamodb":
            answer = real(client, operation, arguments)
            used.update(_requests(service, arguments))
            return answer
        writes = list(_writes(operation, arguments))
        before = [_stored(client, table, key) for table, key, _ in writes]
        answer = real(client, operation, arguments)
        used["dynamodb_read"] += _reads(arguments, answer)
        for (table, key, factor), old in zip(writes, before, strict=True):
            used["dynamodb_write"] += _written(table, old, _stored(client, table, key), factor)
        return answer

    with patch.object(BaseClient, "_make_api_call", counted):
        yield used


def _requests(service: str, arguments: Mapping[str, Any]) -> dict[str, int]:
    """Returns the requests to other services. SQS bills a batch once, SNS each message."""
    if service == "sqs":
        return {"sqs_fifo_request" if arguments["QueueUrl"].endswith(".fifo") else "sqs_request": 1}
    if service == "sns":
        return {"sns_fifo_publish": len(arguments.get("PublishBatchRequestEntries", [arguments]))}
    return {f"{service}_request": 1}


def _reads(arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> float:
    """Returns the read units. A missing item costs as much as the smallest."""
    units = 0.0
    for table, wanted in arguments.get("RequestItems", {}).items():
        if isinstance(wanted, list):  # a BatchWriteItem
            continue
        found = [max(1, ceil(_size(item) / _READ)) for item in answer["Responses"][table]]
        missing = len(wanted["Keys"]) - len(found)
        units += (sum(found) + missing) * _consistency(wanted)
    if "KeyConditionExpression" in arguments:
        units += max(1, ceil(sum(map(_size, answer["Items"])) / _READ)) * _consistency(arguments)
    elif "Key" in arguments and "UpdateExpression" not in arguments and "Attributes" not in answer:
        units += max(1, ceil(_size(answer.get("Item", {})) / _READ)) * _consistency(arguments)
    return units


def _consistency(arguments: Mapping[str, Any]) -> float:
    return 1 if arguments.get("ConsistentRead") else 0.5


def _writes(operation: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, _Item, int]]:
    """Yields the writes of a call: table, key, and the multiple of a plain write's price."""
    if operation == "TransactWriteItems":
        for each in arguments["TransactItems"]:
            [write] = each.values()
            yield write["TableName"], _key(write), 2
    elif operation == "BatchWriteItem":
        for table, requests in arguments["RequestItems"].items():
            for request in requests:
                [write] = request.values()
                yield table, _key({"TableName": table, **write}), 1
    elif operation in ("PutItem", "UpdateItem", "DeleteItem"):
        yield arguments["TableName"], _key(arguments), 1


def _key(write: Mapping[str, Any]) -> _Item:
    if "Key" in write:
        return write["Key"]
    return {name: write["Item"][name] for name in _attributes(_described(write["TableName"]).key)}


def _stored(client: BaseClient, table: str, key: _Item) -> _Item:
    """Returns the stored item, read from the emulator directly.

    An AWS call would count as the function's, which has no grant for it.
    """
    item = dynamodb_backends[DEFAULT_ACCOUNT_ID][client.meta.region_name].get_item(table, dict(key))
    return item.to_json()["Attributes"] if item else {}


def _written(table: str, old: _Item, new: _Item, factor: int) -> int:
    """Returns the units of one write.

    The larger of the item before and after, plus each changed index entry, which never costs a transaction's
    price.
    """
    units = max(1, ceil(max(_size(old), _size(new)) / _WRITE)) * factor
    for index in _described(table).indexes.values():
        names = _attributes(index)
        was, now = (
            [item[name] for name in names] if all(name in item for name in names) else None
            for item in (old, new)
        )
        if old == new or was == now is None or (index.keys_only and was == now):
            continue
        if index.keys_only:
            units += 1 if was is None or now is None else 2
            continue
        if (
            was is not None and now is not None and was != now
        ):  # a moved index entry: one deletion, one insertion
            units += ceil(_size(old) / _WRITE) + ceil(_size(new) / _WRITE)
        else:
            units += ceil(max(_size(old if was else {}), _size(new if now else {})) / _WRITE)
    return units


def _described(table: str) -> Any:
    tables = stack.load().source.tables
    return next(described for name, described in tables.items() if config.table(name) == table)


def _attributes(key: Any) -> list[str]:
    return [pair[0] for pair in (key.hash, key.range) if pair]


def _size(item: _Item) -> int:
    """Returns the bytes of an item in DynamoDB's JSON."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return ceil(len(content.lstrip("-").replace(".", "")) / 2) + 1
        case "M":
            return 3 + len(content) + _size(content)
        case "L":
            return 3 + len(content) + _sum(content)
        case "SS" | "NS":
            return _sum({kind[0]: each} for each in content)
        case "BOOL" | "NULL":
            return 1
        case _:
            raise AssertionError(f"no rule for the size of {kind}")


def _sum(values: Iterable[Mapping[str, Any]]) -> int:
    return sum(map(_value_size, values))
