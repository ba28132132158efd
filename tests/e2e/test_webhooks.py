"""Outbound webhooks on the local cloud.

The published requests, receiver and verifier as printed, and what comes after a failure.
"""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FunctionType
from typing import Any

import pytest
import requests
import uvicorn
from standardwebhooks import Webhook as Standard

from tests.e2e.calls import TIMEOUT_S, eventually, get, paper
from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e

CREATE = """POST /webhooks
Authorization: Bearer YOUR_API_TOKEN
Content-Type: application/json

{
  "name": "My Webhook",
  "url": "https://example.com/webhook",
  "event_type": "user.created",
  "secret": "optional-secret-for-signing",
  "description": "Webhook для новых пользователей"
}"""
LIST = "GET /webhooks?event_type=user.created&is_active=true&limit=50&offset=0"
READ = "GET /webhooks/{webhook_id}"
CHANGE = """PATCH /webhooks/{webhook_id}
{
  "name": "Updated Name",
  "is_active": false
}"""
DELETE = "DELETE /webhooks/{webhook_id}"
STATS = "GET /webhooks/stats"
HISTORY = "GET /webhooks/{webhook_id}/deliveries?status=failed&limit=50&offset=0"

VERIFIER = """
import hmac
import hashlib
import json

def verify_webhook_signature(payload: dict, signature_header: str, secret: str) -> bool:
    payload_json = json.dumps(payload, sort_keys=True)
    expected_signature = hmac.new(
        secret.encode('utf-8'),
        payload_json.encode('utf-8'),
        hashlib.sha256
    ).hexdigest()

    received_signature = signature_header.replace('sha256=', '')
    return hmac.compare_digest(expected_signature, received_signature)
"""

RECEIVER = """
from fastapi import FastAPI, Request, HTTPException
import hmac
import hashlib
import json

app = FastAPI()
WEBHOOK_SECRET = "your-secret"

@app.post('/webhook')
async def webhook(request: Request):
    signature = request.headers.get('X-Webhook-Signature', '')
    event_type = request.headers.get('X-Webhook-Event')
    payload = await request.json()

    # Проверка подписи
    if not verify_signature(payload, signature, WEBHOOK_SECRET):
        raise HTTPException(status_code=401, detail='Invalid signature')

    # Обработка события
    if event_type == 'user.created':
        handle_new_user(payload)
    elif event_type == 'payment.completed':
        handle_payment(payload)

    return {'status': 'ok'}

def verify_signature(payload, signature, secret):
    payload_json = json.dumps(payload, sort_keys=True)
    expected = hmac.new(
        secret.encode(),
        payload_json.encode(),
        hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(expected, signature.replace('sha256=', ''))
"""


def printed(
    stack: Running, request: str, *, token: str = "TRADEHOOK_ADMIN_TOKEN", **secrets: str
) -> requests.Response:
    """A request as it is printed; of it only the host, the token and `secrets` are ours.

    What stands there, and what to put instead.
    """
    for theirs, ours in secrets.items():
        request = request.replace(f"{{{theirs}}}", ours).replace(theirs, ours)
    start, *lines = request.splitlines()
    method, path = start.split(" ", 1)
    headers = {"Authorization": f"Bearer {stack.env[token]}", "Content-Type": "application/json"}
    while lines and ": " in lines[0] and not lines[0].startswith((" ", "{")):
        name, value = lines.pop(0).split(": ", 1)
        headers[name] = value.replace("YOUR_API_TOKEN", stack.env[token])
    return requests.request(
        method, f"{stack.url}{path}", headers=headers, data="\n".join(lines).encode(), timeout=TIMEOUT_S
    )


def call(stack: Running, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """An administrator's call, which must succeed."""
    headers = {"Authorization": f"Bearer {stack.env['TRADEHOOK_ADMIN_TOKEN']}"}
    answer = requests.request(method, f"{stack.url}{path}", json=body, headers=headers, timeout=TIMEOUT_S)
    assert answer.ok, answer.text
    return answer.json()


@contextmanager
def published_receiver() -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """The FastAPI receiver as printed, served by uvicorn.

    Its URL, and what it handled of users and of payments.
    """
    users: list[dict[str, Any]] = []
    payments: list[dict[str, Any]] = []
    names: dict[str, Any] = {"handle_new_user": users.append, "handle_payment": payments.append}
    exec(RECEIVER, names)
    server = uvicorn.Server(
        uvicorn.Config(names["app"], host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/webhook", users, payments
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def receiver(answer: Callable[[int], int] = lambda _: 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver that keeps what arrives.

    `answer` says with which status it answers the n-th request, 0 being the first.
    """
    received: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            with lock:
                status = answer(len(received))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received.append({"at": time.monotonic(), "headers": headers, "body": body, "status": status})
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", received
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def subscribed(stack: Running, url: str, **body: Any) -> Iterator[dict[str, Any]]:
    """A subscription, for as long as the test takes."""
    made = call(stack, "POST", "/webhooks", {"name": "e2e", "url": url} | body)
    try:
        yield made
    finally:
        with suppress(AssertionError):
            call(stack, "DELETE", f"/webhooks/{made['id']}")


def verify_webhook_signature() -> FunctionType:
    """The verifier as printed."""
    names: dict[str, Any] = {}
    exec(VERIFIER, names)
    return names["verify_webhook_signature"]


def books(stack: Running, webhook_id: int) -> dict[str, Any]:
    """Returns the delivery counters of a subscription."""
    return call(stack, "GET", f"/webhooks/{webhook_id}/stats")["totals"]


def test_the_published_requests_and_receiver(stack: Running) -> None:
    """Create, list, read, history, figures, change and delete as printed.

    The printed receiver verifies and handles what it is sent.
    """
    with published_receiver() as (url, users, payments):
        ours = {"https://example.com/webhook": url, "optional-secret-for-signing": "your-secret"}
        made = printed(stack, CREATE, **ours)
        assert made.status_code == 201, made.text
        webhook_id = str(made.json()["id"])
        assert (made.json()["name"], made.json()["event_type"], made.json()["is_active"]) == (
            "My Webhook",
            "user.created",
            True,
        )
        second = printed(stack, CREATE, **ours | {"user.created": "payment.completed"}).json()

        created = call(
            stack, "POST", "/users", {"username": "testuser", "first_name": "Test", "last_name": "User"}
        )
        payment = call(
            stack, "POST", "/payments", {"user_id": created["user_id"], "amount": "50.00", "currency": "USDT"}
        )
        call(stack, "PATCH", f"/payments/{payment['payment_id']}", {"status": "completed"})
        assert eventually(lambda: users and payments)
        [user] = users
        names = {
            "user_id",
            "telegram_id",
            "username",
            "first_name",
            "last_name",
            "referral_code",
            "referred_by_id",
        }
        assert (names <= user.keys(), user["user_id"], user["username"]) == (
            True,
            created["user_id"],
            "testuser",
        )
        assert (payments[0]["payment_id"], payments[0]["amount"]) == (payment["payment_id"], "50")

        listed = printed(stack, LIST).json()
        assert webhook_id in [str(item["id"]) for item in listed["items"]]
        assert str(second["id"]) not in [str(item["id"]) for item in listed["items"]]
        assert eventually(lambda: printed(stack, READ, webhook_id=webhook_id).json()["success_count"] == 1)
        assert printed(stack, HISTORY, webhook_id=webhook_id).json()["items"] == []
        [delivery] = printed(stack, HISTORY.replace("failed", "success"), webhook_id=webhook_id).json()[
            "items"
        ]
        assert (delivery["status"], delivery["response_status"], delivery["payload"]) == (
            "success",
            200,
            user,
        )
        figures = printed(stack, STATS).json()
        assert figures["total_webhooks"] >= 2
        assert figures["successful_deliveries"] >= 2
        assert figures["totals"]["equal"] is True
        changed = printed(stack, CHANGE, webhook_id=webhook_id).json()
        assert (changed["name"], changed["is_active"]) == ("Updated Name", False)
        assert printed(stack, DELETE, webhook_id=webhook_id).status_code == 200
        assert printed(stack, READ, webhook_id=webhook_id).status_code == 404
        call(stack, "DELETE", f"/webhooks/{second['id']}")


def test_a_wrong_secret_is_refused_by_the_published_receiver(stack: Running) -> None:
    """The printed receiver answers 401 to another secret's signature.

    The history shows its answer, and that a retry is coming.
    """
    with (
        published_receiver() as (url, users, _),
        subscribed(stack, url, event_type="user.created", secret="another") as made,
    ):
        call(stack, "POST", "/users", {"username": "nobody"})
        [delivery] = eventually(lambda: printed(stack, HISTORY, webhook_id=str(made["id"])).json()["items"])
        assert (delivery["response_status"], delivery["error_message"], users) == (401, "http_401", [])
        assert delivery["next_retry_at"]
        shown = call(stack, "GET", f"/webhooks/{made['id']}/deliveries/{delivery['id']}")
        assert json.loads(shown["attempts"][0]["response_body"]) == {"detail": "Invalid signature"}


def test_a_paper_trade_arrives_signed_and_again_after_failures(stack: Running) -> None:
    """A fill reaches its subscriber.

    The first try fails, the second comes about 5 s later under the same id, signed for its own time.
    """
    filled = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 77.5, "alert_id": f"hook-{time.time_ns()}"}
    with (
        receiver(lambda number: 500 if number == 0 else 200) as (url, received),
        subscribed(
            stack,
            url,
            event_type="order.filled",
            filter={"symbol": "AAPL"},
            user_id=stack.env["TRADEHOOK_DEMO_USER_ID"],
        ) as made,
    ):
        signal_id = paper(stack, filled, Prefer="wait=20").headers["X-Signal-Id"]
        assert eventually(lambda: len(received) >= 2, 60)
        failed, taken = received
        assert (failed["status"], taken["status"], failed["body"]) == (500, 200, taken["body"])
        assert 4 <= taken["at"] - failed["at"] < 30
        assert json.loads(taken["body"])["signal_id"] == signal_id
        for each in received:
            headers, body = each["headers"], each["body"]
            assert body == json.dumps(json.loads(body), sort_keys=True)
            assert verify_webhook_signature()(
                json.loads(body), headers["x-webhook-signature"], made["secret"]
            )
            assert Standard(made["secret"]).verify(body, headers)["signal_id"] == signal_id
            assert (headers["x-webhook-event"], headers["x-webhook-id"]) == ("order.filled", str(made["id"]))
            assert headers["x-webhook-sequence"] == "1"
        assert failed["headers"]["webhook-id"] == taken["headers"]["webhook-id"]
        assert failed["headers"]["webhook-timestamp"] != taken["headers"]["webhook-timestamp"]
        assert eventually(lambda: books(stack, made["id"])["delivered"] == 1)
        assert books(stack, made["id"]) == {
            "matched": 1,
            "delivered": 1,
            "pending": 0,
            "paused": 0,
            "dead": 0,
            "equal": True,
        }
        [traced] = get(stack, f"/signals/{signal_id}", "TRADEHOOK_USER_TOKEN").json()["deliveries"]
        assert traced["delivery_id"] == taken["headers"]["webhook-id"]


def test_what_happens_to_one_ticket_arrives_in_order(stack: Running) -> None:
    """The first tries for one entity come in the order of its events, though one of them fails.

    A retry holds nothing back.
    """
    with (
        receiver(lambda number: 503 if number == 1 else 200) as (url, received),
        subscribed(stack, url, event_type="ticket.*", format="envelope", secret="s3cret") as made,
    ):
        ticket = call(
            stack, "POST", "/tickets", {"title": "An order is missing", "message": "See signal 33eb…"}
        )
        for number in range(3):
            call(stack, "POST", f"/tickets/{ticket['ticket_id']}/messages", {"message": f"number {number}"})
        call(stack, "PATCH", f"/tickets/{ticket['ticket_id']}", {"status": "closed"})
        assert eventually(lambda: len(received) > 6 and books(stack, made["id"])["pending"] == 0, 60)
        bodies = [json.loads(each["body"]) for each in received]
        firsts = list(dict.fromkeys(body["sequence"] for body in bodies))
        assert firsts == list(range(1, len(firsts) + 1))
        types = [next(body["type"] for body in bodies if body["sequence"] == number) for number in firsts]
        assert (types[0], types[-1]) == ("ticket.created", "ticket.status_changed")
        repeated = [body["sequence"] for body in bodies if bodies.count(body) > 1]
        assert repeated == [2, 2]
        assert bodies.index(next(body for body in bodies if body["sequence"] == 3)) < len(bodies) - 1
        for each in received:
            expected = hmac.new(b"s3cret", each["body"].encode(), hashlib.sha256).hexdigest()
            assert each["headers"]["x-webhook-signature"] == f"sha256={expected}"


def test_an_endpoint_that_is_gone_is_switched_off_and_told_of(stack: Running) -> None:
    """410 disables at once and notifies the owner's webhook.

    Missed deliveries are paused, and go out on resuming.
    """
    with (
        receiver(lambda number: 410 if number == 0 else 200) as (url, received),
        receiver() as (watching, heard),
        subscribed(stack, watching, event_types=["webhook.*"]),
        subscribed(stack, url, event_type="user.created") as made,
    ):
        call(stack, "POST", "/users", {"username": "first"})
        assert eventually(lambda: call(stack, "GET", f"/webhooks/{made['id']}")["status"] == "disabled")
        call(stack, "POST", "/users", {"username": "second"})
        assert eventually(lambda: books(stack, made["id"])["paused"] == 2)
        told = eventually(
            lambda: [each for each in heard if each["headers"]["x-webhook-event"] == "webhook.disabled"]
        )
        assert json.loads(told[0]["body"]) == {"webhook_id": made["id"], "name": "e2e", "reason": "gone"}
        assert len(received) == 1
        call(stack, "POST", f"/webhooks/{made['id']}/resume")
        assert eventually(lambda: books(stack, made["id"])["delivered"] == 2)
        assert {json.loads(each["body"])["username"] for each in received[1:]} == {"first", "second"}


def test_test_events_replay_and_the_guard(stack: Running) -> None:
    """A test event goes out at once; a delivery can be sent again under its id.

    What may not be called is refused.
    """
    with receiver() as (url, received), subscribed(stack, url, event_type="user.created") as made:
        tested = call(stack, "POST", f"/webhooks/{made['id']}/test", {"event_type": "order.filled"})
        assert (tested["status"], tested["response"]["status"], len(received)) == ("success", 200, 1)
        call(stack, "POST", "/users", {"username": "again"})
        assert eventually(lambda: books(stack, made["id"])["delivered"] == 1)
        [delivery] = call(stack, "GET", f"/webhooks/{made['id']}/deliveries")["items"]
        call(stack, "POST", f"/webhooks/{made['id']}/deliveries/{delivery['id']}/replay")
        assert eventually(lambda: len(received) == 3)
        assert {each["headers"]["webhook-id"] for each in received[1:]} == {delivery["id"]}
        types = call(stack, "GET", "/event-types")["items"]
        assert {"user.created", "order.filled", "webhook.disabled"} <= {each["name"] for each in types}
    headers = {"Authorization": f"Bearer {stack.env['TRADEHOOK_ADMIN_TOKEN']}"}
    for refused in (
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://0x0a000001/",
    ):
        body = {"name": "e2e", "url": refused, "event_type": "*"}
        answer = requests.post(f"{stack.url}/webhooks", json=body, headers=headers, timeout=TIMEOUT_S)
        assert (answer.status_code, answer.json()["code"]) == (400, "webhook_url_refused")
