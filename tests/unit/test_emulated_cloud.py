"""The emulated cloud that most tests run on: empty for each test, and atomic for the threads of one."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import boto3
import pytest

from chalicelib import aws, config
from testkit import cloud, pump


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 1000)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("emulated", "impatient_threads")
def test_transactions_and_writes_of_eight_threads_all_stay() -> None:
    """A transaction neither fails for another thread's write to its table nor undoes it."""

    def write(thread: int) -> None:
        for number in range(6):
            aws.transact(
                [
                    aws.put_write("users", {"user_id": f"{thread}-{number}-{each}", "part": "profile"})
                    for each in range(3)
                ]
            )
            aws.write(aws.put_write("users", {"user_id": f"{thread}-{number}", "part": "settings"}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert len(pump.items("users")) == 8 * 6 * 4


@pytest.mark.usefixtures("emulated")
def test_a_refused_transaction_writes_nothing() -> None:
    """All of its writes or none, for items that are there and items that are not."""
    aws.write(aws.put_write("users", {"user_id": "1", "part": "profile", "name": "before"}))
    writes = [
        aws.put_write("users", {"user_id": "1", "part": "profile", "name": "after"}),
        aws.put_write("users", {"user_id": "2", "part": "profile"}),
        aws.put_write("users", {"user_id": "3", "part": "profile"}, "attribute_exists(user_id)"),
    ]
    with pytest.raises(aws.WriteRefused):
        aws.transact(writes)
    assert [item["name"] for item in pump.items("users")] == ["before"]


def test_nothing_of_one_test_is_there_in_the_next() -> None:
    """Items, messages, and resources that a test has created or deleted itself."""
    with cloud.emulated():
        sqs, dynamodb = boto3.client("sqs"), boto3.client("dynamodb")
        queues, tables = sqs.list_queues()["QueueUrls"], dynamodb.list_tables()["TableNames"]
        aws.write(aws.put_write("users", {"user_id": "1", "part": "profile"}))
        message = {"MessageBody": "m", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
        sqs.send_message(QueueUrl=config.queue("orders-paper"), **message)
        sqs.send_message(QueueUrl=config.queue("orders-binance"), **message)
        assert [each["Body"] for each in pump.messages("orders-paper")] == ["m"]
        sqs.create_queue(QueueName="another")
        sqs.delete_queue(QueueUrl=config.queue("telegram"))
        dynamodb.delete_table(TableName=config.table("signals"))
    with cloud.emulated():
        assert (sqs.list_queues()["QueueUrls"], dynamodb.list_tables()["TableNames"]) == (queues, tables)
        assert pump.items("users") == []
        assert pump.messages("orders-paper") == pump.messages("orders-binance") == []


@pytest.mark.usefixtures("emulated")
def test_attributes_come_back_as_they_were_written() -> None:
    """Every type that DynamoDB has, empty ones and nested ones too."""
    item = {
        "user_id": "1",
        "part": "profile",
        "text": "",
        "number": Decimal("-0.10"),
        "true": True,
        "none": None,
        "bytes": b"\x00\xff",
        "names": {"a", "b"},
        "numbers": {Decimal(1), Decimal(2)},
        "list": [],
        "map": {},
        "nested": {"list": [{"map": {"bytes": b"x", "text": "t"}}, [Decimal(1), None, False]]},
    }
    aws.write(aws.put_write("users", item))
    [found] = pump.items("users")
    assert {name: getattr(value, "value", value) for name, value in found.items() if name != "nested"} == {
        name: value for name, value in item.items() if name != "nested"
    }
    assert found["nested"]["list"][1] == [Decimal(1), None, False]
    assert found["nested"]["list"][0]["map"]["text"] == "t"
    assert found["nested"]["list"][0]["map"]["bytes"].value == b"x"
