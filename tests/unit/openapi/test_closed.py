"""Every route refuses names it does not know.

One walk over the OpenAPI document, in the query and in the body.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

import app as served
from chalicelib.openapi import closed, document, subjects
from chalicelib.openapi.examples import PATH, USER_ID
from chalicelib.users.create import create_user
from chalicelib.users.models import Role
from functions import receive_signals, serve_api
from testkit import cloud, gateway
from testkit.api import Api

APPS = {"receive_signals": receive_signals.app, "serve_api": serve_api.app}
CLOSED = sorted(name for name, docs in subjects.docs().items() if not closed.is_open(docs))
WITH_QUERY = [name for name in CLOSED if closed.query_names(subjects.docs()[name])]
FREE_BODIES = {"POST /signals/explain"}
"""Its body is that of a webhook, whose unknown keys have rules of their own."""


IDS = dict(PATH)
"""The path parameters, of records that exist where a route looks for them before it reads its body."""


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """An admin, who may call every route."""
    with cloud.emulated():
        create_user(by="test", user_id=1, role=Role.ADMIN)
        create_user(by="test", user_id=USER_ID)
        api = Api()
        api.sign_in("1")
        account = made(api, "/accounts", {"name": "Main Account", "kind": "paper"})
        strategy = made(
            api, "/strategies", {"group_name": "g", "accounts": [{"account_id": account["account_id"]}]}
        )
        webhook = made(
            api, "/webhooks", {"name": "n", "url": "https://93.184.215.14/hook", "event_type": "order.*"}
        )
        IDS.update(
            account_id=str(account["account_id"]),
            strategy_id=str(strategy["strategy_id"]),
            webhook_id=str(webhook["id"]),
        )
        yield api


def made(api: Api, route: str, body: dict[str, Any]) -> dict[str, Any]:
    """A record that the walk needs."""
    api.sign_in("1")  # one of the routes walked revokes all tokens
    status, answer = api("1", "POST", route, body)
    assert status == 201, answer
    return dict(answer)


def call(
    api: Api, name: str, body: Any = None, query: dict[str, str] | None = None, **more: str
) -> tuple[int, Any]:
    """A call of a route as an admin; `more` are headers."""
    api.sign_in("1")  # one of the routes walked revokes all tokens
    method, _, route = name.partition(" ")
    path = {key: value for key, value in IDS.items() if f"{{{key}}}" in route}
    path |= {"user_id": "1"} if "user_id" in path else {}
    headers = {"Authorization": f"Bearer {api.tokens['1']}", **more}
    where = {"route": route, "path_parameters": path or None, "query": query, "headers": headers}
    status, answer, _ = gateway.call(
        APPS[served.OWNERS[method, route]], method, route.format(**path), body, **where
    )
    return status, answer


def test_the_walk_covers_the_api() -> None:
    """Only inbound webhooks and the dashboard's files are open."""
    assert {name for name in subjects.docs() if name not in CLOSED} == {
        *(
            "POST /webhook",
            "POST /personal/{user_id}/webhook",
            "POST /xc",
            "POST /api/webhook",
            "POST /telegram/webhook",
        ),
        *("GET /", "GET /docs", "GET /dashboard", "GET /dashboard/{file}", "GET /dashboard/{file}/{name}"),
    }


@pytest.mark.parametrize("name", CLOSED)
def test_an_unknown_query_parameter_is_named(api: Api, name: str) -> None:
    """A misspelt filter is a 400, never the whole list."""
    status, answer = call(api, name, query={"colour": "red"})
    assert (status, answer["code"]) == (400, "unknown_field"), answer
    assert "colour" in answer["error"]


@pytest.mark.parametrize("name", WITH_QUERY)
def test_a_misspelt_query_parameter_names_the_right_one(api: Api, name: str) -> None:
    """The refusal has the nearest known name."""
    for known in closed.query_names(subjects.docs()[name]):
        status, answer = call(api, name, query={f"{known}x": "1"})
        assert (status, answer["code"]) == (400, "unknown_field")
        assert answer["error"].endswith(f"Did you mean {known}?"), answer


@pytest.mark.parametrize(
    "name", [name for name in CLOSED if not name.startswith("GET ") and name not in FREE_BODIES]
)
def test_an_unknown_field_of_the_body_is_named(api: Api, name: str) -> None:
    """A field that nothing reads is a 400, on routes that take no body, too."""
    given = subjects.docs()[name].given
    body = dict(given) if isinstance(given, dict) else {}
    field = next(iter(body), "colour") + "x"
    status, answer = call(api, name, body | {field: 1})
    assert (status, answer["code"]) == (400, "unknown_field"), answer
    assert field in answer["error"]
    if body:
        assert answer["error"].endswith(f"Did you mean {field[:-1]}?"), answer


@pytest.mark.parametrize(
    "name", [name for name in CLOSED if not name.startswith("GET ") and subjects.docs()[name].body is None]
)
def test_a_route_without_a_body_takes_an_empty_one(api: Api, name: str) -> None:
    """Clients send `{}` or `null` where nothing is wanted."""
    for body in ("{}", "null", " "):
        assert call(api, name, body)[1].get("code") not in ("unknown_field", "not_a_json_object")
    assert call(api, name, "[1]")[1]["code"] == "not_a_json_object"
    assert call(api, name, "{")[1]["code"] == "not_a_json_object"


def test_the_document_says_that_bodies_are_closed() -> None:
    """A client generator and a validator know it from the schema."""
    spec = document.make([*serve_api.ROUTES])
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            if "requestBody" in operation and name in CLOSED and name not in FREE_BODIES:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                assert all(
                    each.get("additionalProperties") is False for each in schema.get("anyOf", [schema])
                ), name


POSTS = [
    name for name in CLOSED if name.startswith("POST ") and served.OWNERS["POST", name[5:]] == "serve_api"
]


@pytest.mark.parametrize("name", POSTS)
def test_an_idempotency_key_works_or_is_refused(api: Api, name: str) -> None:
    """A client that sends a key relies on it: a route that does not remember keys says so."""
    status, answer = call(api, name, '{"colour": 1}', **{"Idempotency-Key": "k"})
    taken = subjects.docs()[name].idempotency_key
    assert status in (400, 404)
    read = {"missing_field", "unknown_field", "not_found"}  # an earlier step deleted the strategy
    assert answer["code"] in (read if taken else {"idempotency_key_not_taken"})


def test_the_documents_examples_are_known(api: Api) -> None:
    """No example of a body has a field that its route refuses."""
    for name in CLOSED:
        docs = subjects.docs()[name]
        for body in (docs.given, *docs.bodies.values()):
            if body is not None and not name.startswith("GET "):
                assert (
                    call(api, name, json.loads(json.dumps(body, default=str)))[1].get("code")
                    != "unknown_field"
                ), name


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("GET /webhooks", {"event_type": "user.created", "is_active": "true", "limit": "50", "offset": "0"}),
        ("GET /webhooks/{webhook_id}/deliveries", {"status": "failed", "limit": "50", "offset": "0"}),
    ],
)
def test_the_published_queries_work_as_printed(api: Api, name: str, query: dict[str, str]) -> None:
    """The seeds' own query parameters are known."""
    webhook = made(
        api, "/webhooks", {"name": "n", "url": "https://93.184.215.14/hook", "event_type": "user.created"}
    )
    IDS["webhook_id"] = str(webhook["id"])
    status, answer = call(api, name, query=query)
    assert (status, answer["next"]) == (200, None)
