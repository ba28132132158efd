"""Many clients, many events, connections that break: every client has every event of its own exactly once, in order.

`SOAK_SECONDS=60 SOAK_CLIENTS=500` is the whole of it; without them a small part is run.
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
from boto3.dynamodb.types import TypeSerializer

from chalicelib.users import credentials
from tests.browser.conftest import HERE

SECONDS = int(os.environ.get("SOAK_SECONDS", "8"))
CLIENTS = int(os.environ.get("SOAK_CLIENTS", "60"))
PER_SECOND = int(os.environ.get("SOAK_RATE", "50"))
USERS = max(CLIENTS // 5, 1)
WITHIN_S = 180 + CLIENTS  # to connect, which one machine does slowly, and to catch up

_serialize = TypeSerializer().serialize


@pytest.mark.e2e
@pytest.mark.timeout(SECONDS + WITHIN_S + 120)
def test_every_event_once_and_in_order(node, stack):
    """Whatever drops and resumes, every client ends with 1, 2, 3 ... of its own stream, nothing of another's, and no reset."""
    result = soak(node, stack)
    print(result)  # noqa: T201 - pytest shows it with -s
    assert result["lacking"] == result["wrong"] == result["foreign"] == result["resets"] == 0
    assert result["reconnects"] > 0


def soak(node, stack):
    """Runs it; returns what the clients found."""
    dynamodb = stack.cloud.client("dynamodb")
    run = uuid.uuid4().hex[:6]
    users = [f"soak{run}x{number}" for number in range(USERS)]
    tokens = {user_id: credentials.new(credentials.Kind.API, user_id) for user_id in users}
    for user_id in users:
        stored = {
            "token_hash": credentials.digest(tokens[user_id]),
            "kind": "api",
            "user_id": user_id,
            "created_at": "2026-01-01T00:00:00+00:00",
        }
        _put(dynamodb, stack.cloud.table("credentials"), stored)
        profile = {"user_id": user_id, "part": "profile", "user_uuid": user_id, "role": "user", "is_active": True}
        _put(dynamodb, stack.cloud.table("users"), profile)
    clients = subprocess.Popen([node, "soak.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    killer = threading.Timer(SECONDS + WITHIN_S, clients.kill)
    killer.start()
    try:
        clients.stdin.write(json.dumps({"url": stack.ws_url, "tokens": tokens, "clients": CLIENTS}) + "\n")
        clients.stdin.flush()
        assert json.loads(clients.stdout.readline()) == {"ready": CLIENTS}
        told = _happen(dynamodb, stack.cloud.table("outbox"), users)
        clients.stdin.write(json.dumps(told) + "\n")
        clients.stdin.flush()
        return json.loads(clients.stdout.readline())
    finally:
        killer.cancel()
        clients.kill()
        clients.wait()
        clients.stdin.close()
        clients.stdout.close()


def _happen(dynamodb, table, users):
    """Events at an even rate, in turn; how many each user has."""
    told = Counter()
    started = time.monotonic()
    for number in range(SECONDS * PER_SECOND):
        time.sleep(max(0.0, started + number / PER_SECOND - time.monotonic()))
        user_id = users[number % len(users)]
        now = datetime.now(UTC)
        event = {
            "event_id": uuid.uuid4().hex,
            "type": "order.filled",
            "payload": {"owner": user_id, "n": number},
            "entity": f"soak#{number}",
        }
        when = {"user_id": user_id, "created_at": now.isoformat(), "unpublished": "1", "forget_at": int(now.timestamp()) + 86_400}
        _put(dynamodb, table, event | when)
        told[user_id] += 1
    print(f"{sum(told.values())} events in {time.monotonic() - started:.1f} s")  # noqa: T201
    return told


def _put(dynamodb, table, item):
    dynamodb.put_item(TableName=table, Item={name: _serialize(value) for name, value in item.items()})
