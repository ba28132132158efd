"""The commands that use the deployment's own AWS credentials."""

import json
from datetime import UTC, datetime

import boto3
import pytest

from chalicelib import config
from chalicelib.users import access
from chalicelib.users.models import Role


@pytest.fixture
def dead_queue(cloud, monkeypatch):
    """The dead-letter queue of orders-paper, with three messages of two groups."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="test-orders-paper-dead.fifo", Attributes={"FifoQueue": "true"})[
        "QueueUrl"
    ]
    monkeypatch.setenv("QUEUE_ORDERS_PAPER_DEAD", url)
    for number in range(3):
        group = f"account-{number % 2}"
        sqs.send_message(
            QueueUrl=url, MessageBody=f"m{number}", MessageGroupId=group, MessageDeduplicationId=f"d{number}"
        )
    return url


def test_bootstrap_makes_the_first_admin(run, cloud):
    """On an empty deployment one command returns an admin's token.

    A second one is refused unless requested.
    """
    made = run("bootstrap")
    assert made.code == 0
    caller = access.by_token(made.out.strip(), datetime.now(UTC))
    assert caller.role is Role.ADMIN
    again = run("bootstrap")
    assert again.code == 1
    assert "already" in again.err
    more = run("bootstrap", "--another", "--user-id", "77", "--json")
    assert json.loads(more.out)["user_id"] == 77


def test_redrive_moves_messages_in_their_groups(run, dead_queue):
    """Dead messages go back to their queue in their groups, and the dead-letter queue is empty then."""
    ended = run("redrive", "orders-paper", "--json")
    assert json.loads(ended.out) == {"queue": "orders-paper", "moved": 3}
    sqs = boto3.client("sqs")
    back = []
    while messages := sqs.receive_message(
        QueueUrl=config.queue("orders-paper"), MessageSystemAttributeNames=["All"], MaxNumberOfMessages=10
    ).get("Messages"):
        back += messages
        for message in messages:
            sqs.delete_message(QueueUrl=config.queue("orders-paper"), ReceiptHandle=message["ReceiptHandle"])
    assert {(message["Body"], message["Attributes"]["MessageGroupId"]) for message in back} == {
        ("m0", "account-0"),
        ("m1", "account-1"),
        ("m2", "account-0"),
    }
    assert "Messages" not in sqs.receive_message(QueueUrl=dead_queue)


def test_redrive_of_an_unknown_queue(run, cloud):
    """A queue that the stack does not have is refused with those it has."""
    ended = run("redrive", "orders-nowhere")
    assert ended.code == 1
    assert "orders-paper" in ended.err
