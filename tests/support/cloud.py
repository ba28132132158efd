"""An emulated AWS in this process (moto), with the resources of `infra/stack.yaml` in it and their addresses in the environment.

It is entered hundreds of times, so what does not differ from time to time is made once: the stack's description, and the session with
the services' models.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend, Table
from moto.kms import models as moto_kms

from chalicelib import aws
from infra import stack

_REGION = "eu-west-1"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": _REGION}


@contextmanager
def emulated(only: Sequence[str] = ()) -> Iterator[None]:
    """Tables, queues and topics of the stack, empty; every function's environment at once.

    Args:
        only: These tables and nothing else, for tests so many that the rest would take longer than they do.
    """
    description = _description()
    with ExitStack() as means:
        for mean in (
            mock_aws(config={"core": {"reset_boto3_session": False}}),
            patch("boto3.DEFAULT_SESSION", _session()),
            patch.dict("os.environ", _CREDENTIALS),
            patch.object(DynamoDBBackend, "transact_write_items", _transact),
            patch.object(Table, "__deepcopy__", _copied, create=True),
            patch.object(moto_kms, "generate_private_key", _private_key),
        ):
            means.enter_context(mean)
        aws.client.cache_clear()
        environment = _tables(description, only)
        if not only:
            environment |= _queues(description) | _topics(description) | _keys(description)
        environment |= {
            "WEBSOCKET_REALTIME": "https://realtime.execute-api.eu-west-1.amazonaws.com/live",
            "TRADEHOOK_PUBLIC_URL": "http://localhost:8080",
            "TRADEHOOK_DEFAULT_USER_ID": "1",
            "POWERTOOLS_METRICS_NAMESPACE": "tradehook",
        }
        with patch.dict("os.environ", environment):
            yield
        aws.client.cache_clear()


@cache
def _description() -> stack.Stack:
    return stack.load()


@cache
def _session() -> boto3.session.Session:
    return boto3.session.Session("testing", "testing", region_name=_REGION)


_private_key = cache(moto_kms.generate_private_key)
_transact_by_copies = DynamoDBBackend.transact_write_items
_touched: ContextVar[frozenset[tuple[str, str]]] = ContextVar("_touched")


def _transact(backend: DynamoDBBackend, transact_items: Sequence[dict[str, Any]]) -> None:
    """Moto's, which copies each table to be able to go back; of the items only those that the transaction touches."""
    _touched.set(
        frozenset((op["TableName"], str(value)) for each in transact_items for op in each.values() for value in _keys_in(backend, op))
    )
    _transact_by_copies(backend, transact_items)


def _copied(table: Table, memo: dict[int, Any]) -> Table:
    kept = copy.copy(table)
    kept.items = copy.copy(table.items)
    for hash_key, item in table.items.items():
        if (table.name, str(hash_key.to_json())) in _touched.get():
            kept.items[hash_key] = copy.deepcopy(item, memo)
    return kept


def _keys_in(backend: DynamoDBBackend, op: dict[str, Any]) -> list[Any]:
    """The value of the hash key that an operation of a transaction is about."""
    table = backend.tables.get(op["TableName"])
    key = op.get("Item") or op["Key"]
    return [key[table.hash_key_attr]] if table and table.hash_key_attr in key else []


def _tables(description: stack.Stack, only: Sequence[str]) -> dict[str, str]:
    client = boto3.client("dynamodb")
    environment = {}
    for name, table in description.source.tables.items():
        if only and name not in only:
            continue
        keys = [table.key, *table.indexes.values()]
        attributes = {pair[0]: pair[1] for key in keys for pair in (key.hash, key.range) if pair}
        arguments = {
            "TableName": f"test-{name}",
            "KeySchema": _schema(table.key),
            "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": type_} for attribute, type_ in attributes.items()],
            "BillingMode": "PAY_PER_REQUEST",
        }
        if table.indexes:
            arguments["GlobalSecondaryIndexes"] = [
                {"IndexName": index, "KeySchema": _schema(key), "Projection": {"ProjectionType": "ALL"}}
                for index, key in table.indexes.items()
            ]
        client.create_table(**arguments)
        environment[stack.Resource("table", name).variable] = f"test-{name}"
    return environment


def _keys(description: stack.Stack) -> dict[str, str]:
    client = boto3.client("kms")
    return {stack.Resource("key", name).variable: client.create_key()["KeyMetadata"]["Arn"] for name in description.source.keys}


def _schema(key) -> list[dict[str, str]]:
    pairs = [(key.hash, "HASH"), (key.range, "RANGE")]
    return [{"AttributeName": pair[0], "KeyType": type_} for pair, type_ in pairs if pair]


def _queues(description: stack.Stack) -> dict[str, str]:
    client = boto3.client("sqs")
    environment = {}
    for name, queue in description.queues.items():
        fifo = queue.definition.fifo
        attributes = {"FifoQueue": "true"} if fifo else {}
        url = client.create_queue(QueueName=f"test-{name}{'.fifo' if fifo else ''}", Attributes=attributes)["QueueUrl"]
        environment[stack.Resource("queue", name).variable] = url
    return environment


def _topics(description: stack.Stack) -> dict[str, str]:
    client = boto3.client("sns")
    queues = boto3.client("sqs")
    environment = {}
    for name, topic in description.source.topics.items():
        arn = client.create_topic(
            Name=f"test-{name}.fifo" if topic.fifo else f"test-{name}", Attributes={"FifoTopic": "true"} if topic.fifo else {}
        )["TopicArn"]
        environment[stack.Resource("topic", name).variable] = arn
        for subscription in topic.subscriptions:
            fifo = description.queues[subscription.queue].definition.fifo
            url = queues.get_queue_url(QueueName=f"test-{subscription.queue}{'.fifo' if fifo else ''}")["QueueUrl"]
            queue_arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            client.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    return environment
