"""An emulated cloud with users, and sockets that record their messages."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib import aws
from chalicelib.events import publish
from chalicelib.events.models import Event, event_id
from chalicelib.events.outbox import (
    # Payloads here are what a test can tell apart, not what the catalogue says
    event_write as write_unchecked,
)
from chalicelib.realtime import post
from chalicelib.users.credentials import Kind
from functions import handle_realtime, push_realtime
from testkit import cloud, records
from testkit.gateway import CONTEXT, queue_event


class Sockets:
    """Replaces the management API: the messages of each connection, and which ones are gone or slow."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Any]] = defaultdict(list)
        self.sizes: list[int] = []
        self.gone: set[str] = set()
        self.slow: set[str] = set()
        self.closed: list[str] = []
        self._lock = threading.Lock()

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - as boto3 names them
        if ConnectionId in self.gone:
            raise ClientError({"Error": {"Code": "GoneException"}}, "PostToConnection")
        if ConnectionId in self.slow:
            raise ReadTimeoutError(endpoint_url="https://example.test")
        with self._lock:
            self.sent[ConnectionId].append(json.loads(Data))
            self.sizes.append(len(Data))

    def delete_connection(self, *, ConnectionId: str) -> None:  # noqa: N803
        self.closed.append(ConnectionId)

    def types(self, connection_id: str) -> list[str]:
        return [message["type"] for message in self.sent[connection_id]]

    def last(self, connection_id: str) -> Any:
        return self.sent[connection_id][-1]


class Realtime:
    """The realtime functions, driven as AWS drives them."""

    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        self.told = 0

    def connect(self, connection_id: str, query: dict[str, str] | None, device: str = "Firefox") -> int:
        context = {
            "eventType": "CONNECT",
            "connectionId": connection_id,
            "identity": {"sourceIp": "192.0.2.1"},
        }
        event = {"requestContext": context, "queryStringParameters": query, "headers": {"User-Agent": device}}
        return handle_realtime.handler(event, CONTEXT)["statusCode"]

    def say(self, connection_id: str, message: Any) -> Any:
        """Sends a message; returns the last message the connection got."""
        body = message if isinstance(message, str) else json.dumps(message)
        handle_realtime.handler(
            {"requestContext": {"eventType": "MESSAGE", "connectionId": connection_id}, "body": body}, CONTEXT
        )
        return self.sockets.last(connection_id) if self.sockets.sent[connection_id] else None

    def disconnect(self, connection_id: str) -> None:
        handle_realtime.handler(
            {"requestContext": {"eventType": "DISCONNECT", "connectionId": connection_id}}, CONTEXT
        )

    def happen(self, type_: str, user_id: str | None = "1", payload: dict[str, Any] | None = None) -> None:
        """Creates and publishes an event."""
        self.told += 1
        event = Event(
            event_id=event_id(type_, str(self.told)),
            type=type_,
            payload={"n": self.told} if payload is None else payload,
            entity=f"thing#{self.told}",
            user_id=user_id,
            created_at=datetime.now(UTC),
        )
        aws.write(write_unchecked(event))
        publish.publish([(event.owner, event.event_id)])

    def take(self) -> list[Any]:
        """Takes up to ten messages out of the realtime queue."""
        client = aws.client("sqs")
        url = client.get_queue_url(QueueName="test-realtime.fifo")["QueueUrl"]
        messages: list[Any] = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages", [])
        for message in messages:
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def collect(self, waiting: defaultdict[str, deque[Any]]) -> None:
        """Takes everything out of the realtime queue, into its message groups."""
        while messages := self.take():
            for message in messages:
                waiting[message["Attributes"]["MessageGroupId"]].append(message)

    def push(self, messages: list[Any]) -> list[Any]:
        """Hands messages to `push_realtime`; returns those it gave back."""
        return list(push_realtime.handler(queue_event(messages), CONTEXT)["batchItemFailures"])

    def deliver(self) -> dict[str, Any]:
        """Hands everything in the realtime queue to `push_realtime`."""
        failures: list[Any] = []
        while messages := self.take():
            failures += self.push(messages)
        return {"batchItemFailures": failures}


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Sockets:
    fake = Sockets()
    monkeypatch.setattr(post, "client", lambda: fake)
    monkeypatch.setattr(post, "swift_client", lambda: fake)
    post._slow.clear()
    return fake


@pytest.fixture
def realtime(sockets: Sockets, monkeypatch: pytest.MonkeyPatch) -> Iterator[Realtime]:
    with cloud.emulated():
        monkeypatch.setenv("TRADEHOOK_WS_URL", "ws://localhost:8080/ws")
        records.add_user("1")
        records.add_user("2")
        records.add_user("9", role="admin")
        yield Realtime(sockets)


@pytest.fixture
def tokens(realtime: Realtime) -> dict[str, str]:
    """An API token for each user, by user id."""
    return {user_id: records.add_token(user_id, Kind.API) for user_id in ("1", "2", "9")}


@pytest.fixture
def connected(realtime: Realtime, tokens: dict[str, str], sockets: Sockets) -> Realtime:
    """One connection of each user, named `c1`, `c2` and `c9`, welcomed."""
    for user_id, token in tokens.items():
        assert realtime.connect(f"c{user_id}", {"token": token}) == 200
    realtime.deliver()
    for sent in sockets.sent.values():
        sent.clear()
    return realtime
