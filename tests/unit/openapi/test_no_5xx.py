"""No bytes give a 5xx.

Every route of the OpenAPI document with odd identifiers, queries, cursors, headers and bodies.
"""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

import app as served
from chalicelib.http import is_id
from chalicelib.openapi import subjects
from functions import receive_signals, serve_api
from testkit import cloud, gateway
from testkit.api import Api
from tests.unit.openapi.test_foreign import records_of

APPS = {"receive_signals": receive_signals.app, "serve_api": serve_api.app}
ODD = [
    "x" * 129,
    "x" * 3000,
    "é" * 1025,
    "\x00",
    "a\nb",
    "\u202e",
    "%",
    "9" * 40,
    "-1",
    "NaN",
    "1e999",
    "\ud800",
    "#",
    "me#",
    " ",
]


def _cursor(position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


CURSORS = [
    "x",
    "é",
    base64.urlsafe_b64encode(b"\xff").decode(),
    base64.urlsafe_b64encode(b"[" * 2000).decode(),
    *map(
        _cursor,
        (
            [],
            {},
            {"offset": "x"},
            {"offset": -1},
            {"offset": 10**40},
            {"offset": True},
            {"offset": 1.5},
            {"offset": [1]},
        ),
    ),
    *map(
        _cursor,
        (
            {"user_id": ""},
            {"user_id": "x" * 3000},
            {"user_id": 1},
            {"a": "b", "c": "d"},
            {f"k{n}": "v" for n in range(9)},
        ),
    ),
    _cursor({"payment_id": 10**37, "listed": "x"}),
]
TIMES = [
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31",
    "0001-01-01",
    "x",
    "٢٠٢٦-01-01",
]
VALUES: list[Any] = [
    None,
    True,
    [],
    {},
    "",
    " ",
    "x" * 5000,
    10**38,
    -1,
    TIMES[0],
    "1e999",
    "\u0000",
    [[]],
    [{}],
    {"a": 1},
]
FILES = {"file": "x", "name": "x"}
FILTERS = ['{"a": 1e999}', '{"a": "\\ud800"}', '{"a": 1e9}', '{"a": [1, [2]]}']


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Api, dict[str, str]]]:
    """An admin and a user with one record of every kind."""
    from chalicelib.users.create import create_user
    from chalicelib.users.models import Role

    with cloud.emulated():
        create_user(by="test", user_id=1, role=Role.ADMIN)
        for user_id in (7, 8):
            create_user(by="test", user_id=user_id)
        api = Api()
        for user_id in ("1", "7", "8"):
            api.sign_in(user_id)
        yield api, records_of(api)


def call(
    api: Api,
    name: str,
    body: Any = None,
    *,
    path: dict[str, str],
    query: dict[str, str] | None = None,
    **headers: str,
) -> int:
    method, _, route = name.partition(" ")
    auth = (
        {"Authorization": f"Bearer {api.tokens['1']}"} if subjects.docs()[name].security == "bearer" else {}
    )
    if subjects.docs()[name].security == "telegram":
        auth = {"X-Telegram-Bot-Api-Secret-Token": "secret"}
    answer = APPS[served.OWNERS[method, route]](
        gateway.request(
            method,
            route.format(**path),
            body if isinstance(body, (str, bytes)) or body is None else json.dumps(body),
            route=route,
            path_parameters={n: v for n, v in path.items() if f"{{{n}}}" in route} or None,
            query=query,
            headers=auth | headers,
        ),
        gateway.CONTEXT,
    )
    assert answer["headers"].keys() >= {
        "X-Content-Type-Options",
        "Cache-Control",
        "Strict-Transport-Security",
        "Referrer-Policy",
    }, name
    if answer["body"] and answer["headers"].get("Content-Type") == "application/json":
        answer["body"].encode()
        json.loads(answer["body"], parse_constant=_no_constant)
    status: int = answer["statusCode"]
    return status


def _no_constant(name: str) -> Any:
    raise AssertionError(name)


def names() -> list[str]:
    return [name for name in subjects.docs() if not name.startswith("GET /openapi")]


def test_odd_identifiers(world):
    """Each path parameter of each route in turn holds something odd."""
    api, ids = world
    wrong = []
    for name in names():
        for parameter in (part[1:-1] for part in name.split("/") if part.startswith("{")):
            for odd in ODD:
                body = copy.deepcopy(subjects.docs()[name].given)
                status = call(api, name, body, path=ids | FILES | {parameter: odd})
                wrong += [(name, parameter, ascii(odd)[:20], status)] * (status >= 500)
    assert not wrong


def test_odd_queries_and_headers(world):
    """Each query parameter that a reading route documents holds something odd, and so do the headers."""
    api, ids = world
    wrong = []
    for name in (name for name in names() if name.startswith("GET")):
        docs = subjects.docs()[name]
        asked = [*docs.query, "user_id", "x" * 200] + ["limit", "offset", "cursor"] * docs.paged
        for parameter in asked:
            for odd in ODD + TIMES * (parameter in ("since", "until")) + CURSORS * (parameter == "cursor"):
                status = call(api, name, path=ids | FILES, query={parameter: odd})
                wrong += [(name, parameter, ascii(odd)[:60], status)] * (status >= 500)
    for name in ("GET /users", "POST /payments"):
        for header in ("Accept-Language", "Idempotency-Key", "X-Webhook-Token"):
            for odd in ODD:
                status = call(api, name, subjects.docs()[name].given, path=ids, **{header: odd})
                wrong += [(name, header, ascii(odd)[:20], status)] * (status >= 500)
    assert not wrong


def test_odd_bodies_and_what_they_leave(world, monkeypatch):
    """Each field of each documented body holds something odd.

    Whatever is taken, every list can be read afterwards.
    """
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_WEBHOOK_SECRET", "secret")
    api, ids = world
    wrong = []
    inbound = ("/webhook", "/api/webhook", "/xc", "/personal/{user_id}/webhook", "/orders", "/api/orders")
    for name in (name for name in names() if not name.startswith("GET") and name.split()[1] not in inbound):
        given = subjects.docs()[name].given
        texts = [
            "[" * 5000,
            "{",
            "null",
            "[]",
            "1",
            '"\\ud800"',
            '{"a": 1e999}',
            '{"a": NaN}',
            '{"a": "\\ud800"}',
            '{"a":1,"a":2}',
            "\x00",
        ]
        if isinstance(given, dict):
            texts += [json.dumps(given | {field: odd}) for field in given for odd in VALUES]
            texts += [json.dumps(given | {field: "\ud800"}) for field in given]
            texts += [json.dumps(given | {field: 0}).replace(": 0", ": 1e999") for field in given]
            if name == "POST /webhooks":
                texts += [json.dumps(given)[:-1] + f', "filter": {odd}}}' for odd in FILTERS]
        for text in texts:
            status = call(api, name, text, path=ids)
            wrong += [(name, ascii(text)[:120], status)] * (status >= 500)
    for name in (name for name in names() if subjects.docs()[name].paged):
        status = call(api, name, path=ids)
        wrong += [(name, "after all", status)] * (status >= 500)
    assert not wrong


def test_ids():
    """What an id is."""
    assert is_id("a" * 128)
    assert not any(map(is_id, ("", "a" * 129, "a\n", "\u202e")))
