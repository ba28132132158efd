"""An emulated AWS in this process (moto), with the resources of `infra/stack.yaml`.

The environment has their addresses.

The resources are created once per process, which takes longer than most tests. Each test gets them in their
first state: tables, queues and topics are empty. One call is emulated at a time, because moto is not
thread-safe: its transactions copy tables, and undo concurrent writes of other threads. DynamoDB's
transactions are atomic, so threads of a test still interleave between calls, as in AWS.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache
from threading import RLock
from typing import Any
from unittest.mock import patch

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core import responses as moto_responses
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.model_instances import reset_model_data
from moto.core.models import botocore_stubber
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models import DynamoDBBackend, Table, dynamodb_backends
from moto.kms import models as moto_kms
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from chalicelib import aws
from infra import stack

_REGION = "eu-west-1"
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": _REGION,
}


@contextmanager
def emulated() -> Iterator[None]:
    """Yields empty tables, queues and topics of the stack, with every function's environment."""
    assert not botocore_stubber.enabled, (
        "the emulated cloud is in use already, and entering it would empty it"
    )
    with ExitStack() as patches:
        for each in (
            patch.object(botocore_stubber, "enabled", True),
            patch.object(BotocoreStubber, "process_request", _one_at_a_time),
            patch("boto3.DEFAULT_SESSION", _session()),
            patch.dict("os.environ", _CREDENTIALS),
            patch.object(DynamoDBBackend, "transact_write_items", _transact),
            patch.object(Table, "__deepcopy__", _copied, create=True),
            patch.object(BaseJSONSerializer, "_serialize_type_structure", _serialize_structure),
            patch.object(moto_responses, "method_names_from_class", _method_names),
        ):
            patches.enter_context(each)
        aws.client.cache_clear()
        resources = _resources()
        resources.restore()
        with patch.dict("os.environ", resources.environment):
            yield
        aws.client.cache_clear()


class _Session(boto3.session.Session):
    """Creates each client once: a client takes as long as ten calls."""

    @cache  # noqa: B019 - there is one session for the whole run
    def client(self, *arguments: Any, **named: Any) -> Any:
        return super().client(*arguments, **named)


@cache
def _session() -> _Session:
    return _Session("testing", "testing", region_name=_REGION)


class _Resources:
    """The stack's resources in the emulation, and their first state.

    Attributes:
        environment: The variables that name the resources to functions.
    """

    def __init__(self) -> None:
        description = stack.load()
        self.environment = (
            _tables(description) | _queues(description) | _topics(description) | _keys(description)
        )
        self.environment |= {
            "WEBSOCKET_REALTIME": "https://realtime.execute-api.eu-west-1.amazonaws.com/live",
            "TRADEHOOK_PUBLIC_URL": "http://localhost:8080",
            "TRADEHOOK_DEFAULT_USER_ID": "1",
            "POWERTOOLS_METRICS_NAMESPACE": "tradehook",
        }
        dynamodb, sqs, sns, kms = (
            backends[DEFAULT_ACCOUNT_ID][_REGION]
            for backends in (dynamodb_backends, sqs_backends, sns_backends, kms_backends)
        )
        stateful = (dynamodb, sqs, sns, kms, *dynamodb.tables.values(), *sqs.queues.values())
        stateful += (*sns.topics.values(), *sns.subscriptions.values(), *kms.keys.values())
        self._first = [(each, _shallow(vars(each))) for each in stateful]

    def restore(self) -> None:
        """Restores the first state of the resources."""
        for each, first in self._first:
            vars(each).clear()
            vars(each).update(_shallow(first))
        reset_model_data()


def _shallow(state: dict[str, Any]) -> dict[str, Any]:
    """Returns an object's attributes, with copies of their containers."""
    return {
        name: copy.copy(value) if isinstance(value, dict | list | set) else value
        for name, value in state.items()
    }


@cache
def _resources() -> _Resources:
    return _Resources()


_lock = RLock()
_process = BotocoreStubber.process_request


def _one_at_a_time(stubber: BotocoreStubber, request: Any) -> Any:
    with _lock:
        return _process(stubber, request)


_method_names = cache(moto_responses.method_names_from_class)
_serialize_by_model = BaseJSONSerializer._serialize_type_structure


def _serialize_structure(
    serializer: BaseJSONSerializer, serialized: dict[str, Any], value: Any, shape: Any, key: str
) -> None:
    """Replaces moto's function, which tries ten names for each of the ten types of an attribute.

    That takes half of a call's time.
    """
    if shape.name == "AttributeValue" and _is_wire_form(value):
        serializer._default_serialize(serialized, value, shape, key)
    else:
        _serialize_by_model(serializer, serialized, value, shape, key)


_SCALARS = {"S": str, "N": str, "BOOL": bool, "NULL": bool}


def _is_wire_form(value: Any) -> bool:
    """Returns whether an attribute already has DynamoDB's JSON form. Moto handles bytes and sets."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    [(kind, content)] = value.items()
    if kind in _SCALARS:
        return isinstance(content, _SCALARS[kind])
    nested = {"M": dict.values, "L": iter}.get(kind)
    return nested is not None and all(map(_is_wire_form, nested(content)))


_transact_by_copies = DynamoDBBackend.transact_write_items
_touched: ContextVar[frozenset[tuple[str, str]]] = ContextVar("_touched")


def _transact(backend: DynamoDBBackend, transact_items: Sequence[dict[str, Any]]) -> None:
    """Replaces moto's function, which copies each table for the rollback.

    This one copies only the items of the transaction.
    """
    _touched.set(
        frozenset(
            (op["TableName"], str(value))
            for each in transact_items
            for op in each.values()
            for value in _keys_in(backend, op)
        )
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
    """Returns the hash key's value in an operation of a transaction."""
    table = backend.tables.get(op["TableName"])
    key = op.get("Item") or op["Key"]
    return [key[table.hash_key_attr]] if table and table.hash_key_attr in key else []


def _tables(description: stack.Stack) -> dict[str, str]:
    client = boto3.client("dynamodb")
    environment = {}
    for name, table in description.source.tables.items():
        keys = [table.key, *table.indexes.values()]
        attributes = {pair[0]: pair[1] for key in keys for pair in (key.hash, key.range) if pair}
        arguments = {
            "TableName": f"test-{name}",
            "KeySchema": _schema(table.key),
            "AttributeDefinitions": [
                {"AttributeName": attribute, "AttributeType": type_}
                for attribute, type_ in attributes.items()
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }
        if table.indexes:
            arguments["GlobalSecondaryIndexes"] = [
                {
                    "IndexName": index,
                    "KeySchema": _schema(key),
                    "Projection": {"ProjectionType": "KEYS_ONLY" if key.keys_only else "ALL"},
                }
                for index, key in table.indexes.items()
            ]
        client.create_table(**arguments)
        environment[stack.Resource("table", name).variable] = f"test-{name}"
    return environment


def _keys(description: stack.Stack) -> dict[str, str]:
    client = boto3.client("kms")
    with patch.object(
        moto_kms, "generate_private_key", return_value=None
    ):  # the stack's keys are symmetric and have none
        return {
            stack.Resource("key", name).variable: client.create_key()["KeyMetadata"]["Arn"]
            for name in description.source.keys
        }


def _schema(key) -> list[dict[str, str]]:
    pairs = [(key.hash, "HASH"), (key.range, "RANGE")]
    return [{"AttributeName": pair[0], "KeyType": type_} for pair, type_ in pairs if pair]


def _queues(description: stack.Stack) -> dict[str, str]:
    client = boto3.client("sqs")
    environment = {}
    for name, queue in description.queues.items():
        fifo = queue.definition.fifo
        attributes = {"FifoQueue": "true"} if fifo else {}
        url = client.create_queue(QueueName=f"test-{name}{'.fifo' if fifo else ''}", Attributes=attributes)[
            "QueueUrl"
        ]
        environment[stack.Resource("queue", name).variable] = url
    return environment


def _topics(description: stack.Stack) -> dict[str, str]:
    client = boto3.client("sns")
    queues = boto3.client("sqs")
    environment = {}
    for name, topic in description.source.topics.items():
        arn = client.create_topic(
            Name=f"test-{name}.fifo" if topic.fifo else f"test-{name}",
            Attributes={"FifoTopic": "true"} if topic.fifo else {},
        )["TopicArn"]
        environment[stack.Resource("topic", name).variable] = arn
        for subscription in topic.subscriptions:
            fifo = description.queues[subscription.queue].definition.fifo
            url = queues.get_queue_url(QueueName=f"test-{subscription.queue}{'.fifo' if fifo else ''}")[
                "QueueUrl"
            ]
            queue_arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
                "QueueArn"
            ]
            client.subscribe(
                TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
            )
    return environment
