"""An emulated AWS in this process (moto), with the resources of `infra/stack.yaml` in it and their addresses in the environment."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import boto3
from moto import mock_aws

from chalicelib import aws
from infra import stack

_REGION = "eu-west-1"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": _REGION}


@contextmanager
def emulated() -> Iterator[None]:
    """Tables, queues and topics of the stack, empty; every function's environment at once."""
    description = stack.load()
    with mock_aws(), patch.dict("os.environ", _CREDENTIALS):
        aws.client.cache_clear()
        environment = _tables(description) | _queues(description) | _topics(description) | _keys(description)
        environment |= {
            "WEBSOCKET_REALTIME": "https://realtime.execute-api.eu-west-1.amazonaws.com/live",
            "TRADEHOOK_PUBLIC_URL": "http://localhost:8080",
            "TRADEHOOK_DEFAULT_USER_ID": "1",
            "POWERTOOLS_METRICS_NAMESPACE": "tradehook",
        }
        with patch.dict("os.environ", environment):
            yield
        aws.client.cache_clear()


def _tables(description: stack.Stack) -> dict[str, str]:
    client = boto3.client("dynamodb")
    environment = {}
    for name, table in description.source.tables.items():
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
