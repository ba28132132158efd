"""The local cloud keeps what it has acknowledged: real emulator processes, killed while they work.

`TRADEHOOK_KILLS=200` kills more often than the usual 20 times.
"""

import json
import os
import random
import shutil
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local import backup, cloud, process
from infra.local.paths import REGION, LocalStackPaths
from infra.local.state_store import FILE

KILLS = int(os.environ.get("TRADEHOOK_KILLS", "20"))
SCHEMA = {
    "KeySchema": [
        {"AttributeName": "owner", "KeyType": "HASH"},
        {"AttributeName": "number", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "owner", "AttributeType": "S"},
        {"AttributeName": "number", "AttributeType": "N"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
FIFO = {"FifoQueue": "true", "VisibilityTimeout": "30"}


class Cloud:
    """An emulated cloud of its own, in this test's directory."""

    def __init__(self, place):
        self.place = place

    def start(self):
        """Starts it and returns what it found."""
        cloud.start(self.place)
        return cloud.notices(self.place)

    def kill(self):
        """As a power cut does it to the process: without a word."""
        assert process.stop(self.place.directory / "cloud.pid", kill=True)

    def restart(self):
        """Kills and starts it."""
        self.kill()
        return self.start()

    def client(self, service):
        """A client that never sends a call twice."""
        return boto3.client(
            service,
            endpoint_url=self.place.cloud_url,
            region_name=REGION,
            aws_access_key_id=self.place.root_key,
            aws_secret_access_key=self.place.root_key,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=20),
        )

    def state(self, end=""):
        """One of the state's files."""
        return self.place.state / (FILE + end)


@pytest.fixture
def emulator(tmp_path, monkeypatch):
    """A cloud, not started yet. It uses this interpreter, which has ministack too."""
    modules = tmp_path / "modules"
    modules.mkdir()
    for name in cloud._MODULES:
        shutil.copy(Path(cloud.__file__).with_name(name), modules)
    environment = cloud._environment
    monkeypatch.setattr(cloud, "interpreter", lambda: Path(sys.executable))
    monkeypatch.setattr(
        cloud, "_environment", lambda *given: environment(*given) | {"PYTHONPATH": str(modules)}
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = LocalStackPaths.here({"TRADEHOOK_LOCAL_DIR": str(tmp_path / "local"), "PORT": str(port)})
    place.directory.mkdir()
    yield Cloud(place)
    pid_file = place.directory / "cloud.pid"
    process.stop(pid_file, kill=True)
    if ended_itself := process._children.pop(pid_file, None):
        ended_itself.wait()
    shutil.rmtree(place.scratch, ignore_errors=True)


def item(owner, number, **rest):
    return {"owner": {"S": owner}, "number": {"N": str(number)}} | {k: {"S": v} for k, v in rest.items()}


def put(table, *key, **rest):
    return {"Put": {"TableName": table, "Item": item(*key, **rest)}}


def received(sqs, url):
    """Every message there is, taken out in order."""
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        handles = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ]
        sqs.delete_message_batch(QueueUrl=url, Entries=handles)
        found += [message["Body"] for message in messages]
    return found


def test_a_killed_cloud_has_everything_and_nothing_twice(emulator):
    """Items, transactions, messages in order, deduplication, keys, topics; and nothing that was deleted."""
    emulator.start()
    dynamodb, sqs, sns, kms = (emulator.client(name) for name in ("dynamodb", "sqs", "sns", "kms"))
    for name in ("orders", "gone"):
        dynamodb.create_table(TableName=name, **SCHEMA)
    dynamodb.put_item(TableName="orders", Item=item("1", 1, note="first"))
    dynamodb.put_item(TableName="orders", Item=item("1", 2))
    dynamodb.delete_item(TableName="orders", Key=item("1", 2))
    dynamodb.put_item(TableName="gone", Item=item("1", 1))
    dynamodb.delete_table(TableName="gone")
    update = {
        "TableName": "orders",
        "Key": item("1", 1),
        "UpdateExpression": "ADD hits :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    transaction = {
        "TransactItems": [put("orders", "2", 1), put("orders", "2", 2), {"Update": update}],
        "ClientRequestToken": "once",
    }
    dynamodb.transact_write_items(**transaction)
    queue = sqs.create_queue(QueueName="q.fifo", Attributes=FIFO)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}'
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    topic = sns.create_topic(Name="t.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    sends = [{"QueueUrl": queue, "MessageBody": str(number), "MessageGroupId": "g"} for number in range(12)]
    for number, send in enumerate(sends):
        sqs.send_message(**send, MessageDeduplicationId=str(number))
    publish = {"TopicArn": topic, "Message": "12", "MessageGroupId": "g", "MessageDeduplicationId": "p"}
    sns.publish(**publish)
    [first] = sqs.receive_message(QueueUrl=queue)["Messages"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    sqs.receive_message(QueueUrl=queue)  # in flight when the cloud dies
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    secret = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]

    [found] = emulator.restart()
    assert found.startswith("found 3 items and 12 messages, last saved")
    assert dynamodb.list_tables()["TableNames"] == ["orders"]
    dynamodb.transact_write_items(**transaction)  # a client's second try
    items = dynamodb.scan(TableName="orders")["Items"]
    assert [(each["owner"]["S"], each["number"]["N"]) for each in items] == [
        ("1", "1"),
        ("2", "1"),
        ("2", "2"),
    ]
    assert items[0] == item("1", 1, note="first") | {"hits": {"N": "1"}}
    assert dynamodb.describe_table(TableName="orders")["Table"]["ItemCount"] == 3
    sqs.send_message(**sends[3], MessageDeduplicationId="3")
    sns.publish(**publish)
    assert received(sqs, queue) == [str(number) for number in range(1, 13)]
    assert kms.decrypt(CiphertextBlob=secret)["Plaintext"] == b"secret"

    assert emulator.restart()[0].startswith("found 3 items and 0 messages")
    dynamodb.create_table(TableName="gone", **SCHEMA)
    assert not dynamodb.scan(TableName="gone")["Items"]


def test_a_torn_last_write_is_announced(emulator):
    """What was acknowledged before it is there."""
    emulator.start()
    dynamodb = emulator.client("dynamodb")
    dynamodb.create_table(TableName="orders", **SCHEMA)
    for number in range(5):
        dynamodb.put_item(TableName="orders", Item=item("1", number))
    emulator.kill()
    wal = emulator.state("-wal")
    os.truncate(wal, wal.stat().st_size - 100)
    assert "was cut off and is dropped" in emulator.start()[0]
    assert dynamodb.scan(TableName="orders")["Count"] == 4


def test_a_damaged_file_is_kept_and_announced(emulator):
    """The cloud starts empty beside it."""
    emulator.start()
    dynamodb = emulator.client("dynamodb")
    dynamodb.create_table(TableName="orders", **SCHEMA)
    cloud.stop(emulator.place)
    os.truncate(emulator.state(), emulator.state().stat().st_size - 5000)
    before = emulator.state().read_bytes()
    assert "is damaged" in emulator.start()[0]
    assert not dynamodb.list_tables()["TableNames"]
    [aside] = emulator.place.state.glob("state.db.damaged-*")
    assert aside.read_bytes() == before


def test_a_service_that_cannot_be_restored_stops_the_start(emulator):
    """Going on without it would overwrite its row."""
    emulator.start()
    emulator.client("dynamodb").create_table(TableName="orders", **SCHEMA)
    cloud.stop(emulator.place)

    with sqlite3.connect(emulator.state()) as db:
        db.execute("""UPDATE services SET state = '{"format": 3}' WHERE name = 'dynamodb'""")
    db.close()
    with pytest.raises(process.ProcessError, match="dynamodb cannot be restored"):
        emulator.start()


def test_the_state_of_an_earlier_version_is_taken_over(emulator):
    """Its JSON files, written at a clean stop, are read once. Later starts read the new file."""
    emulator.place.state.mkdir()
    scope = "000000000000\x00us-east-1\x00"
    table = {
        "TableName": "orders",
        "TableStatus": "ACTIVE",
        "pk_name": "owner",
        "sk_name": "number",
        "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/orders",
        **SCHEMA,
        "items": {"1": {"1": item("1", 1)}},
    }
    url = f"{emulator.place.cloud_url}/000000000000/old"
    queue = {
        "name": "old",
        "url": url,
        "is_fifo": False,
        "tags": {},
        "dedup_cache": {},
        "fifo_seq": 0,
        "attributes": {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:old"},
        "messages": [{"id": "1", "body": "hello", "sent_at": time.time() - 9}],
    }
    for service, store, name, record in (
        ("dynamodb", "tables", "orders", table),
        ("sqs", "queues", url, queue),
    ):
        scoped = {"__account_region_scoped__": True, "data": {f"{scope}{name!r}": record}}
        saved = {"__ministack_format__": 2, "payload": {store: scoped}}
        (emulator.place.state / f"{service}.json").write_text(json.dumps(saved))
    emulator.start()
    emulator.restart()
    assert not list(emulator.place.state.glob("*.json"))
    assert emulator.client("dynamodb").scan(TableName="orders")["Items"] == [item("1", 1)]
    assert received(emulator.client("sqs"), url) == ["hello"]


def test_a_backup_of_a_running_cloud_is_restored(emulator):
    """The state of that moment, with what it replaces kept; not under a running cloud, not a damaged one."""
    place, dynamodb = emulator.place, emulator.client("dynamodb")
    with pytest.raises(backup.BackupError, match="there is no state"):
        backup.back_up(place)
    with pytest.raises(backup.BackupError, match="there is no backup"):
        backup.restore(place)
    emulator.start()
    dynamodb.create_table(TableName="orders", **SCHEMA)
    dynamodb.put_item(TableName="orders", Item=item("1", 1))
    made = backup.back_up(place)
    dynamodb.put_item(TableName="orders", Item=item("1", 2))
    with pytest.raises(backup.BackupError, match="is running"):
        backup.restore(place)
    cloud.stop(place)
    restored, replaced = backup.restore(place)
    assert (restored, backup.latest(place)) == (made, made)
    assert (replaced / FILE).exists()
    assert {path.stat().st_mode & 0o077 for path in (made, made / FILE, place.state, emulator.state())} == {0}
    emulator.start()
    assert dynamodb.scan(TableName="orders")["Items"] == [item("1", 1)]
    cloud.stop(place)
    os.truncate(made / FILE, 5000)
    with pytest.raises(backup.BackupError, match="is damaged"):
        backup.restore(place, made)


class Load:
    """What one worker has had acknowledged, and what it tried last."""

    def __init__(self, dynamodb, sqs, owner, queue):
        self.dynamodb, self.sqs, self.owner, self.queue = dynamodb, sqs, owner, queue
        self.pairs, self.sent, self.counted = [], [], 0
        self.last = 0

    def run(self):
        """Writes pairs, counts, sends; until the cloud is gone."""
        try:
            while True:
                self.last += 1
                self.dynamodb.transact_write_items(
                    TransactItems=[put("left", self.owner, self.last), put("right", self.owner, self.last)]
                )
                self.pairs.append(self.last)
                self.dynamodb.update_item(
                    TableName="left",
                    Key=item(f"count-{self.owner}", 0),
                    UpdateExpression="ADD hits :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )
                self.counted += 1
                self.send(self.last)
                self.sent.append(self.last)
        except (BotoCoreError, ClientError, OSError):
            return

    def send(self, number):
        """Sends one message of this worker's group."""
        self.sqs.send_message(
            QueueUrl=self.queue,
            MessageBody=f"{self.owner} {number}",
            MessageGroupId=self.owner,
            MessageDeduplicationId=f"{self.owner}-{number}",
        )

    def check(self):
        """Everything acknowledged is there, pairs are whole, and the last call was done once or never."""
        left, right = self._numbers("left"), self._numbers("right")
        assert left == right
        assert self.pairs == left[: len(self.pairs)]
        assert len(left) - len(self.pairs) in (0, 1)
        hits = self.dynamodb.get_item(TableName="left", Key=item(f"count-{self.owner}", 0)).get("Item")
        assert int(hits["hits"]["N"] if hits else 0) - self.counted in (0, 1)

    def _numbers(self, table):
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": {"S": self.owner}},
        )
        return [int(each["number"]["N"]) for page in pages for each in page["Items"]]


def consume(sqs, queue, deleted, unsure):
    """Takes messages out until the cloud is gone."""
    try:
        while True:
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=2).get("Messages", ()):
                unsure.append(message["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                unsure.pop()
                deleted.append(message["Body"])
            time.sleep(0.01)
    except (BotoCoreError, ClientError, OSError):
        return


def test_random_kills_lose_nothing_and_repeat_nothing(emulator):
    """No acknowledged change is lost, no transaction is halved, no message comes twice."""
    chance = random.Random(os.environ.get("TRADEHOOK_SEED"))  # a seed repeats the pauses, not the load
    emulator.start()
    dynamodb, sqs = emulator.client("dynamodb"), emulator.client("sqs")
    for name in ("left", "right"):
        dynamodb.create_table(TableName=name, **SCHEMA)
    queue = sqs.create_queue(QueueName="load.fifo", Attributes=FIFO)["QueueUrl"]
    acknowledged = 0
    for kill in range(KILLS):
        loads = [Load(dynamodb, sqs, f"{kill}-{worker}", queue) for worker in range(3)]
        deleted, unsure = [], []
        threads = [threading.Thread(target=load.run) for load in loads]
        threads.append(threading.Thread(target=consume, args=(sqs, queue, deleted, unsure)))
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.05, 0.3))
        emulator.kill()
        for thread in threads:
            thread.join()
        emulator.start()
        for load in loads:
            load.check()
            if load.last and load.last not in load.sent:
                load.send(load.last)  # as a client does that got no answer
                load.sent.append(load.last)
        rest = received(sqs, queue)
        assert not set(rest) & set(deleted)
        for load in loads:
            order = [int(body.split()[1]) for body in deleted + rest if body.split()[0] == load.owner]
            missing = set(load.sent) - set(order)
            assert order == sorted(set(order))
            assert missing <= {int(body.split()[1]) for body in unsure if body.split()[0] == load.owner}
            acknowledged += len(load.pairs) + load.counted + len(load.sent)
    assert acknowledged > KILLS
