"""A case's own tables and queues, next to the stack's: same keys, empty, without consumers."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from bench.harness.environment import BenchEnvironment
from infra.stack import Resource


@contextmanager
def isolated_tables(
    bench_environment: BenchEnvironment, tables: Sequence[str] = (), queues: Sequence[str] = ()
) -> Iterator[None]:
    """Makes the product's code in this process use copies of these tables and queues inside the block."""
    tag = f"bench-{uuid.uuid4().hex[:8]}"
    description = bench_environment.stack.description
    dynamodb, sqs = bench_environment.stack.client("dynamodb"), bench_environment.stack.client("sqs")
    environment, urls = {}, []
    for name in tables:
        definition = dynamodb.describe_table(TableName=bench_environment.stack.table(name))["Table"]
        indexes = [
            {
                "IndexName": index["IndexName"],
                "KeySchema": index["KeySchema"],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in definition.get("GlobalSecondaryIndexes", [])
        ]
        dynamodb.create_table(
            TableName=f"{tag}-{name}",
            KeySchema=definition["KeySchema"],
            AttributeDefinitions=definition["AttributeDefinitions"],
            BillingMode="PAY_PER_REQUEST",
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        )
        environment[Resource("table", name).variable] = f"{tag}-{name}"
    for name in queues:
        fifo = description.queues[name].definition.fifo
        attributes = {"Attributes": {"FifoQueue": "true"}} if fifo else {}
        urls.append(
            sqs.create_queue(QueueName=f"{tag}-{name}{'.fifo' if fifo else ''}", **attributes)["QueueUrl"]
        )
        environment[Resource("queue", name).variable] = urls[-1]
    try:
        with patch.dict(os.environ, environment):
            yield
    finally:
        for name in tables:
            dynamodb.delete_table(TableName=f"{tag}-{name}")
        for url in urls:
            sqs.delete_queue(QueueUrl=url)
