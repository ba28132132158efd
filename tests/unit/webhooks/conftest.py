"""A world in simulated time: DynamoDB by moto, SQS and the schedule by hand."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import Item

from chalicelib import aws, config
from chalicelib.events.models import LoggedEvent
from chalicelib.http import Answer, Request
from chalicelib.users import access
from chalicelib.users.access import Caller
from chalicelib.users.models import Role
from chalicelib.webhooks import endpoint_store, routes
from chalicelib.webhooks.delivery import delivery_store, ssrf_guard, worker
from chalicelib.webhooks.delivery.deliver import Dependencies
from chalicelib.webhooks.models import Delivery, Outcome, State, Webhook
from functions import deliver_webhooks, retry_deliveries
from testkit import cloud
from tests.conftest import grants

STACK = yaml.safe_load((Path(__file__).parents[3] / "infra" / "stack.yaml").read_text())
VISIBILITY = timedelta(
    seconds=STACK["functions"]["deliver_webhooks"]["timeout_s"]
    + STACK["queues"]["deliveries"]["visibility_margin_s"]
)
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
OK = Outcome(status=200, duration_ms=12)


class Crash(BaseException):
    """The process has crashed."""


class Sqs:
    """The deliveries queue in simulated time."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.waiting: list[tuple[datetime, int, str]] = []
        self.groups: list[str] = []
        self.count = 0

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert QueueUrl == "queue:deliveries"
        grants.check("sqs", "SendMessageBatch", {"QueueUrl": QueueUrl})
        assert 1 <= len(Entries) <= 10
        for entry in Entries:
            assert 0 <= entry.get("DelaySeconds", 0) <= 900
            self.groups.append(entry["MessageGroupId"])
            self.put(entry["MessageBody"], self.clock() + timedelta(seconds=entry.get("DelaySeconds", 0)))
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def put(self, body: str, at: datetime) -> None:
        self.count += 1
        self.waiting.append((at, self.count, body))

    def take(self) -> list[str]:
        """Returns up to ten due messages."""
        due = sorted(message for message in self.waiting if message[0] <= self.clock())[:10]
        self.waiting = [message for message in self.waiting if message not in due]
        return [body for _, _, body in due]


class World:
    """Everything the webhooks need, with a clock that tests move."""

    def __init__(self) -> None:
        self.now = START
        self.sent: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], Outcome] = lambda _sent: OK
        self.sqs = Sqs(lambda: self.now)
        self.caller = Caller(user_id="1", user_uuid="u-1", role=Role.ADMIN)
        self.fuse: int | None = None
        self.calls = 0
        self.lock = threading.RLock()
        self.sequence = 0
        self.jitter: Callable[[], float] = lambda: 0.5
        self.dynamodb = boto3.client("dynamodb")
        self.kms = boto3.client("kms")

    # Calls from the code under test.

    def client(self, service: str, endpoint: str | None = None) -> Any:
        if service == "kms":
            return self.kms
        return _Counted(self, self.sqs if service == "sqs" else self.dynamodb)

    def post(self, url: str, headers: dict[str, str], body: str) -> Outcome:
        self.burn(before=True)
        sent = {"at": self.now, "url": url, "headers": headers, "body": body, "id": headers["webhook-id"]}
        self.sent.append(sent)
        outcome = self.answer(sent)
        self.burn()
        return outcome

    def burn(self, *, before: bool = False) -> None:
        """Ends the process after this many calls. A dead process makes none."""
        if before:
            if self.fuse == 0:
                raise Crash
            return
        self.calls += 1
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse == 0:
                raise Crash

    # Events in the world.

    def user(self, user_id: str, *, role: Role, is_active: bool = True) -> None:
        """Stores a user, new or changed."""
        item = {
            "user_id": user_id,
            "part": "profile",
            "user_uuid": f"u-{user_id}",
            "role": role.value,
            "is_active": is_active,
        }
        times = {"created_at": START.isoformat(), "updated_at": START.isoformat()}
        written = aws.put_write("users", item | times | {"referral_code": f"code{user_id}"})["Put"]
        self.dynamodb.put_item(TableName=written["TableName"], Item=written["Item"])

    def event(
        self, type_: str = "order.filled", *, stream: str = "admin", entity: str = "order#1", **payload: Any
    ) -> LoggedEvent:
        self.sequence += 1
        return LoggedEvent(
            stream=stream,
            sequence=self.sequence,
            event_id=f"event-{self.sequence}",
            type=type_,
            payload=payload or {"n": self.sequence, "value": "18559.00"},
            entity=entity,
            user_id="7",
            timestamp=self.now,
        )

    def publish(self, *events: LoggedEvent) -> None:
        """Passes events to the matching function until it has taken them."""
        waiting = [(event.stream, event.model_dump_json()) for event in events]
        while waiting:
            records = [_record(body, "webhooks.fifo", group) for group, body in waiting[:10]]
            failed = self._deliver_webhooks(records)
            waiting = [
                each for each, record in zip(waiting, records, strict=False) if record["messageId"] in failed
            ] + waiting[10:]

    def work(self) -> None:
        """Does everything that is due in the queue."""
        while bodies := self.sqs.take():
            records = [_record(body, "deliveries", "") for body in bodies]
            failed = self._deliver_webhooks(records)
            for record in records:
                if record["messageId"] in failed:
                    self.sqs.put(record["body"], self.now + VISIBILITY)

    def _deliver_webhooks(self, records: list[dict[str, Any]]) -> set[str]:
        assert not grants.denied  # SQS would redeliver denied work for ever
        try:
            return {
                each["itemIdentifier"]
                for each in deliver_webhooks.handler({"Records": records}, None)["batchItemFailures"]
            }
        except Crash:
            self.fuse = None  # the next process
            return {record["messageId"] for record in records}

    def _retry_deliveries(self) -> None:
        try:
            retry_deliveries.handler({}, None)
        except Crash:
            self.fuse = None

    def until(self, end: datetime) -> None:
        """Lets time pass.

        Messages arrive at their time, and the sweeper runs each minute in which it has work.
        """
        self.work()
        while (at := self._next()) is not None and at <= end:
            self.now = max(at, self.now)
            self.work()
            if (look := self._look()) is not None and look <= self.now:
                self._retry_deliveries()
                self.work()
        self.now = end

    def passes(self, **duration: float) -> None:
        self.until(self.now + timedelta(**duration))

    def _look(self) -> datetime | None:
        looks = [
            item.attrs["look_at"].value for item in self._stored("deliveries") if "look_at" in item.attrs
        ]
        return datetime.fromisoformat(min(looks)) if looks else None

    def _next(self) -> datetime | None:
        times = [at for at, _, _ in self.sqs.waiting]
        if look := self._look():
            minute = look.replace(second=0, microsecond=0)
            times.append(
                max(
                    minute if minute == look else minute + timedelta(minutes=1),
                    self.now + timedelta(seconds=30),
                )
            )
        return min(times, default=None)

    # What tests read.

    def rows(self, table: str = "deliveries") -> list[dict[str, Any]]:
        return [aws.from_dynamodb(item.to_json()["Attributes"]) for item in self._stored(table)]

    def _stored(self, table: str) -> list[Item]:
        """Returns items straight from the emulator's memory.

        The clock asks at every step, and a scan would take most of a test's time.
        """
        return (
            dynamodb_backends[ACCOUNT_ID][self.dynamodb.meta.region_name]
            .tables[config.table(table)]
            .all_items()
        )

    def deliveries(self) -> list[Delivery]:
        found = [delivery_store.from_item(row) for row in self.rows() if row["part"] == "delivery"]
        return sorted(found, key=lambda delivery: (delivery.webhook_id, delivery.sequence))

    def attempts(self) -> list[dict[str, Any]]:
        return sorted(
            (row for row in self.rows() if row["part"].startswith("attempt#")),
            key=lambda row: (row["id"], row["part"]),
        )

    def counters(self, webhook_id: int = 1) -> dict[str, int]:
        return endpoint_store.total(endpoint_store.shards([webhook_id])[webhook_id])

    def webhook(self, webhook_id: int = 1) -> Webhook:
        found = endpoint_store.get(webhook_id)
        assert found
        return found

    def check(self) -> None:
        """Checks that the counters balance and agree with the stored deliveries."""
        counted: dict[tuple[int, str], int] = {}
        for delivery in self.deliveries():
            columns = ["matched", delivery.state.value] + (["failing"] if delivery.status == "failed" else [])
            for column in columns:
                counted[delivery.webhook_id, column] = counted.get((delivery.webhook_id, column), 0) + 1
        for webhook_id in {webhook_id for webhook_id, _ in counted}:
            assert endpoint_store.is_balanced(endpoint_store.shards([webhook_id])[webhook_id])
            counters = self.counters(webhook_id)
            assert counters == {column: counted.get((webhook_id, column), 0) for column in counters}

    # The API.

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        route, found = _route(method, path)
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return route.answer(
            Request(
                method, route.path, {"authorization": "Bearer t"}, query, found, raw, "127.0.0.1", self.now
            )
        )

    def subscribe(self, event_type: Any = "order.*", **more: Any) -> dict[str, Any]:
        body = {
            "name": "My Webhook",
            "url": "https://example.com/webhook",
            "event_types": event_type,
            "secret": "s3cret",
        } | more
        if isinstance(event_type, str):
            body["event_type"] = body.pop("event_types")
        answer = self.call("POST", "/webhooks", body)
        assert answer.status == 201
        assert isinstance(answer.body, dict)
        return answer.body


class _Counted:
    """A client whose calls use up the fuse."""

    def __init__(self, world: World, inner: Any) -> None:
        self.world, self.inner = world, inner

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            with self.world.lock:  # moto is not atomic between threads, as DynamoDB is
                self.world.burn(before=True)
                answer = getattr(self.inner, name)(**arguments)
                self.world.burn()
            return answer

        return call


def _record(body: str, queue: str, group: str) -> dict[str, Any]:
    _record.count = getattr(_record, "count", 0) + 1  # type: ignore[attr-defined]
    return {
        "messageId": f"m-{_record.count}",  # type: ignore[attr-defined]
        "receiptHandle": "r",
        "body": body,
        "attributes": {"MessageGroupId": group, "ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:1:{queue}",
        "awsRegion": "eu-central-1",
    }


def _route(method: str, path: str) -> tuple[Any, dict[str, str]]:
    parts = path.strip("/").split("/")
    for route in routes.ROUTES:
        pattern = route.path.strip("/").split("/")
        if route.method == method and len(pattern) == len(parts):
            found = {
                name[1:-1]: part for name, part in zip(pattern, parts, strict=True) if name.startswith("{")
            }
            if all(name.startswith("{") or name == part for name, part in zip(pattern, parts, strict=True)):
                return route, found
    raise AssertionError(path)


@pytest.fixture
def _tables() -> Iterator[None]:
    with cloud.emulated():
        yield


@pytest.fixture
def world(_tables: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world, with an administrator at the API."""
    monkeypatch.setenv("QUEUE_DELIVERIES", "queue:deliveries")
    world = World()
    monkeypatch.setenv("KEY_WEBHOOKS", world.kms.create_key()["KeyMetadata"]["Arn"])
    dependencies = Dependencies(post=world.post, clock=lambda: world.now, jitter=lambda: world.jitter())  # noqa: PLW0108 - tests replace it
    for user_id in ("1", "2", "7", "8"):
        world.user(user_id, role=Role.ADMIN if user_id == "1" else Role.USER)
    monkeypatch.setattr(aws, "client", world.client)
    monkeypatch.setattr(worker, "dependencies", lambda: dependencies)
    monkeypatch.setattr(access, "caller", lambda _request: world.caller)
    monkeypatch.setattr(ssrf_guard, "resolve", lambda *_: [])
    yield world
    world.check()


__all__ = ["OK", "START", "Crash", "State", "World"]
