"""A repeated `Idempotency-Key` gets the first answer on every route that creates a record: one walk."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.openapi import subjects
from chalicelib.users.create import create_user
from chalicelib.users.credentials import Kind
from chalicelib.users.models import Role
from functions import serve_api
from testkit import cloud, gateway, pump, records
from testkit.api import Api

SHOWS_A_SECRET = {
    "POST /realtime/tickets",
    "POST /users/{user_id}/telegram-link",
    "POST /users/{user_id}/tokens",
    "POST /users/{user_id}/tokens/{token_id}/rotate",
    "POST /users/{user_id}/xc-code",
    "POST /webhooks",
}
"""Their answers may not be stored, so they refuse the header."""
CREATES_NOTHING = {"POST /paper/prices"}
BODIES: dict[str, Any] = {
    "POST /accounts": {"name": "another", "kind": "paper", "user_id": 7},
    "POST /strategies": {"group_name": "another", "user_id": 7},
    "POST /strategies/{strategy_id}/accounts": {"weight": 50},
    "POST /payments": {"user_id": 7, "amount": "123456789.123456789012", "currency": "BTC"},
    "POST /transactions": {"user_id": 7, "amount": "123456789.123456789012", "currency": "BTC"},
    "POST /tickets": {"title": "t", "message": "m"},
    "POST /tickets/{ticket_id}/messages": {"message": "m"},
    "POST /users": {"first_name": "Ада"},
}
TABLES = ("users", "accounts", "strategies", "payments", "transactions", "tickets", "outbox", "audit")

CREATING = sorted(
    name
    for name, docs in subjects.docs().items()
    if name.startswith("POST ") and docs.status == 201 and docs.security == "bearer"
)
TAKING = [name for name in CREATING if name not in SHOWS_A_SECRET | CREATES_NOTHING]


@pytest.fixture
def api() -> Iterator[Api]:
    """Two admins and a user with an account, a strategy and a ticket."""
    with cloud.emulated():
        for user_id, role in ((1, Role.ADMIN), (3, Role.ADMIN), (7, Role.USER)):
            create_user(by="test", user_id=user_id, role=role)
        api = Api()
        for who in ("1", "3", "7"):
            api.sign_in(who)
        yield api


def prepared(api: Api, name: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The route with its path parameters and a body."""
    body, ids = dict(BODIES[name]), {}
    if "{strategy_id}" in name:
        account = api("7", "POST", "/accounts", {"name": "A", "kind": "paper"})[1]["account_id"]
        ids["strategy_id"] = str(api("7", "POST", "/strategies", {"group_name": "g"})[1]["strategy_id"])
        body["account_id"] = account
    if "{ticket_id}" in name:
        ids["ticket_id"] = str(api("7", "POST", "/tickets", {"title": "t", "message": "m"})[1]["ticket_id"])
    return name.partition(" ")[2], ids, body


def post(api: Api, asked: tuple[str, dict[str, str], Any], by: str = "1", key: str = "k") -> Any:
    """A request with an idempotency key."""
    route, ids, body = asked
    headers = {"Authorization": f"Bearer {api.tokens[by]}", "Idempotency-Key": key}
    given = {"route": route, "path_parameters": ids or None, "headers": headers}
    return gateway.call(serve_api.app, "POST", route.format(**ids), body, **given)


def counts() -> dict[str, int]:
    """How many items each table has."""
    return {table: len(pump.items(table)) for table in TABLES}


def test_the_walk_covers_every_route_that_creates() -> None:
    """A new route takes the header, or is named above with its reason."""
    assert set(TAKING) == set(BODIES)
    assert {name for name in CREATING if not subjects.docs()[name].idempotency_key} == (
        SHOWS_A_SECRET | CREATES_NOTHING
    )


@pytest.mark.parametrize("name", TAKING)
def test_a_repeat_gets_the_first_answer(api: Api, name: str) -> None:
    """Same status and body, marked as a duplicate. No record, event or audit entry is written again."""
    asked = prepared(api, name)
    first = post(api, asked)
    assert first[0] == 201, first
    written = counts()
    again = post(api, asked)
    assert (again[0], again[1], again[2]["Idempotent-Replayed"]) == (201, first[1], "true")
    assert "Idempotent-Replayed" not in first[2]
    assert counts() == written


@pytest.mark.parametrize("name", TAKING)
def test_concurrent_repeats_create_once(api: Api, name: str) -> None:
    """Six requests at once: one record. Each is answered with it, or asked to try again."""
    asked = prepared(api, name)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: post(api, asked), range(6)))
    done = [body for status, body, _ in answers if status == 201]
    assert done
    assert all(body == done[0] for body in done)
    assert {status for status, *_ in answers} <= {201, 503}
    assert post(api, asked)[1] == done[0]


@pytest.mark.parametrize("name", TAKING)
def test_another_body_under_the_key_is_a_conflict(api: Api, name: str) -> None:
    """A key stands for one request."""
    route, ids, body = prepared(api, name)
    assert post(api, (route, ids, body))[0] == 201
    other = body | {next(name for name, value in body.items() if isinstance(value, str | int)): "9"}
    status, answer, _ = post(api, (route, ids, other))
    assert (status, answer["code"]) == (409, "idempotency_key_reused")


def test_a_key_belongs_to_the_credential_and_the_path(api: Api) -> None:
    """Another admin's, another token's and another ticket's equal key are requests of their own."""
    tickets = [prepared(api, "POST /tickets/{ticket_id}/messages") for _ in range(2)]
    answers = [post(api, tickets[0]), post(api, tickets[0], by="3"), post(api, tickets[1])]
    api.tokens["1"] = records.add_token("1", Kind.API, token_id="another")
    answers.append(post(api, tickets[0]))
    assert [status for status, *_ in answers] == [201] * 4
    assert not any("Idempotent-Replayed" in headers for *_, headers in answers)
    assert len({(body["ticket_id"], body["message_id"]) for _, body, _ in answers}) == 4


def test_a_replay_keeps_every_digit(api: Api) -> None:
    """Amounts of many digits are not rounded on their way through the store."""
    asked = prepared(api, "POST /transactions")
    route, _, body = asked
    headers = {"Authorization": f"Bearer {api.tokens['1']}", "Idempotency-Key": "k"}
    event = gateway.request("POST", route, json.dumps(body), route=route, headers=headers)
    for _ in range(2):
        assert '"amount": 123456789.123456789012' in serve_api.app(event, gateway.CONTEXT)["body"]
