"""Many clients, many events, connections that break.

Every client gets each event of its user exactly once, in order.

`SOAK_SECONDS=60 SOAK_CLIENTS=500 SOAK_RATE=100` is the full test. Without these variables a small part runs.
Two clients per user, and a few administrators, who get all events.
"""

import json
import os
import subprocess
import threading
import time
import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest

from chalicelib import aws
from chalicelib.events.models import ADMIN_STREAM
from chalicelib.users import credentials
from tests.browser import full_rate
from tests.browser.conftest import HERE

SECONDS = int(os.environ.get("SOAK_SECONDS", "8"))
CLIENTS = int(os.environ.get("SOAK_CLIENTS", "62"))
PER_SECOND = int(os.environ.get("SOAK_RATE", "50"))
ADMINS = 2 + CLIENTS // 200 * 2 + CLIENTS % 2
USERS = (CLIENTS - ADMINS) // 2
TICK_S = 0.1
WITHIN_S = 180 + CLIENTS  # to connect, which one machine does slowly, and to catch up


@pytest.mark.e2e
@pytest.mark.timeout(SECONDS + WITHIN_S + 120)
def test_every_event_once_and_in_order(node, stack):
    """Whatever drops and resumes, every client ends with all of its own stream, nothing of another's, and no
    reset.
    """
    _check(soak(node, stack))


@pytest.mark.timeout(SECONDS + WITHIN_S + 120)
def test_full_rate(node):
    """The same with the product's realtime code alone, and no client gets an event late."""
    with full_rate.running() as (tables, messages, gateway, url):
        users = [f"u{number}" for number in range(USERS)]
        clients = [full_rate.client(tables, user_id) for user_id in users for _ in range(2)]
        clients += [full_rate.client(tables, f"a{number}", admin=True) for number in range(ADMINS)]
        result = _drive(
            node,
            url,
            clients,
            lambda: full_rate.happen(tables, messages, users, rate=PER_SECOND, seconds=SECONDS),
        )
        print({"posts": gateway.posts, "failed": messages.failed})  # noqa: T201
    _check(result)
    assert messages.failed == 0


def _check(result):
    print(result)  # noqa: T201 - pytest shows it with -s
    assert result["lacking"] == result["wrong"] == result["foreign"] == result["resets"] == 0
    assert result["reconnects"] > 0
    assert result["deliveries"] == SECONDS * PER_SECOND * (2 + ADMINS)


def soak(node, stack):
    """Runs it; returns what the clients found."""
    cloud = stack.cloud
    dynamodb = cloud.client("dynamodb")
    run = uuid.uuid4().hex[:6]
    users = [f"soak{run}x{number}" for number in range(USERS)]
    clients = [_client(dynamodb, cloud, user_id, "user", user_id, 0) for user_id in users for _ in range(2)]
    stood = _admins_stand(dynamodb, cloud)
    clients += [
        _client(dynamodb, cloud, f"soak{run}admin{number}", "admin", ADMIN_STREAM, stood)
        for number in range(ADMINS)
    ]

    def happen():
        told = _happen(dynamodb, cloud.table("outbox"), users)
        return told | {ADMIN_STREAM: stood + sum(told.values())}

    return _drive(node, stack.ws_url, clients, happen)


def _drive(node, url, clients, happen):
    """Connects the clients, lets things happen, and returns what the clients found."""
    node_process = subprocess.Popen(
        [node, "soak.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    killer = threading.Timer(SECONDS + WITHIN_S, node_process.kill)
    killer.start()
    try:
        _tell(node_process, {"url": url, "clients": clients})
        ready = json.loads(node_process.stdout.readline())
        print(ready)  # noqa: T201
        _tell(node_process, happen())
        return json.loads(node_process.stdout.readline())
    finally:
        killer.cancel()
        node_process.kill()
        node_process.wait()
        node_process.stdin.close()
        node_process.stdout.close()


def _client(dynamodb, cloud, user_id, role, stream, after):
    """One more client: a user with a token."""
    token = credentials.new(credentials.Kind.API, user_id)
    stored = {
        "token_hash": credentials.digest(token),
        "kind": "api",
        "user_id": user_id,
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    profile = {"user_id": user_id, "part": "profile", "user_uuid": user_id, "role": role, "is_active": True}
    for table, item in (("credentials", stored), ("users", profile)):
        dynamodb.put_item(TableName=cloud.table(table), Item=aws.to_dynamodb(item))
    return {"stream": stream, "token": token, "after": after}


def _admins_stand(dynamodb, cloud):
    """The newest sequence of the administrators' stream."""
    key = aws.to_dynamodb({"stream": ADMIN_STREAM, "sequence": 0})
    found = dynamodb.get_item(TableName=cloud.table("events"), Key=key, ConsistentRead=True)
    return int(found["Item"]["last"]["N"]) if "Item" in found else 0


def _happen(dynamodb, table, users):
    """Events at an even rate, the users in turn; how many each user has."""
    told = Counter()
    started = time.monotonic()
    each = max(round(PER_SECOND * TICK_S), 1)
    for first in range(0, SECONDS * PER_SECOND, each):
        time.sleep(max(0.0, started + first / PER_SECOND - time.monotonic()))
        requests = []
        for number in range(first, min(first + each, SECONDS * PER_SECOND)):
            user_id = users[number % len(users)]
            told[user_id] += 1
            requests.append({"PutRequest": {"Item": aws.to_dynamodb(_event(user_id, number))}})
        assert not dynamodb.batch_write_item(RequestItems={table: requests}).get("UnprocessedItems")
    print(f"{sum(told.values())} events in {time.monotonic() - started:.1f} s")  # noqa: T201
    return told


def _event(user_id, number):
    now, event_id = datetime.now(UTC), uuid.uuid4().hex
    return {
        "owner": f"user#{user_id}" if user_id else "admin",
        "event_id": event_id,
        "type": "order.filled",
        "payload": {"owner": user_id, "n": number, "at": round(now.timestamp() * 1000)},
        "entity": f"soak#{number}",
        "user_id": user_id,
        "created_at": now.isoformat(),
        "unpublished": aws.index_shard(event_id),
        "forget_at": int(now.timestamp()) + 86_400,
    }


def _tell(process, message):
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()
