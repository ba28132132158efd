"""No user reads or changes another user's records.

Every route of the OpenAPI document, with a foreign user's token.
"""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import app as served
from chalicelib import aws, config
from chalicelib.events import log as event_log
from chalicelib.events import topic
from chalicelib.events.models import LoggedEvent
from chalicelib.openapi import closed, subjects
from chalicelib.users.create import create_user
from chalicelib.users.credentials import Kind
from chalicelib.users.models import Role
from chalicelib.webhooks.delivery import fan_out
from functions import receive_signals, serve_api
from infra import stack
from testkit import cloud, gateway, pump, records
from testkit.api import Api

MARK = "theirs"
"""In every text that the victim, user 7, has written; user 8 is the stranger."""
APPS = {"receive_signals": receive_signals.app, "serve_api": serve_api.app}
NAMED = {"user_id": 7, "id": 7, "account_id": None, "referred_by_id": 7}
"""Fields of documented bodies that name somebody's records, with the victim's."""
OWN = {
    "POST /strategies",
    "POST /tickets",
    "POST /webhooks",
    "POST /paper/prices",
    "POST /realtime/tickets",
    "POST /signals/explain",
}
"""Routes that every user may call: their bodies name no user."""


@pytest.fixture(scope="module")
def victim() -> Iterator[tuple[Api, dict[str, str]]]:
    """User 7 with one record of every kind, and what the paths call them."""
    with cloud.emulated():
        create_user(by="test", user_id=1, role=Role.ADMIN)
        for user_id in (7, 8):
            create_user(by="test", user_id=user_id, first_name=MARK if user_id == 7 else "Eve")
        api = Api()
        for user_id in ("1", "7", "8"):
            api.sign_in(user_id)
        yield api, records_of(api)


def records_of(api: Api) -> dict[str, str]:
    """One record of every kind, and the path parameters that lead there."""

    def made(who: str, route: str, body: dict[str, Any], **path: Any) -> dict[str, Any]:
        status, answer = api(who, "POST", route, body, **path)
        assert status in (200, 201, 202), answer
        return dict(answer)

    account = made("7", "/accounts", {"name": f"{MARK}-account", "kind": "paper"})
    strategy = made(
        "7",
        "/strategies",
        {"group_name": f"{MARK}-strategy", "accounts": [{"account_id": account["account_id"]}]},
    )
    token = made("7", "/users/{user_id}/tokens", {"kind": "webhook", "name": MARK}, user_id=7)
    ticket = made("7", "/tickets", {"title": MARK, "message": MARK})
    payment = made("1", "/payments", {"user_id": 7, "amount": 5, "currency": "USDT", "description": MARK})
    adjustment = made(
        "1", "/transactions", {"user_id": 7, "amount": 5, "currency": "USDT", "description": MARK}
    )
    webhook = made(
        "7", "/webhooks", {"name": MARK, "url": "https://93.184.215.14/hook", "event_type": "order.*"}
    )
    headers = {"X-Webhook-Token": token["token"]}
    alert = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 100, "note": MARK}
    signal = gateway.call(
        receive_signals.app, "POST", "/api/webhook", alert, query={"wait": "0"}, headers=headers
    )[1]
    pump.execute()
    pump.publish()
    for event in event_log.after("user#7", 0, 100):
        fan_out.fan_out(LoggedEvent.model_validate_json(topic.message(event)), datetime.now(UTC))
    [delivery] = [item for item in pump.items("deliveries") if item["part"] == "delivery"]
    [order] = [item for item in pump.items("orders") if "#" in item["leg"]]
    ids = {
        "user_id": "7",
        "account_id": account["account_id"],
        "strategy_id": strategy["strategy_id"],
        "token_id": token["token_id"],
    }
    ids |= {
        "ticket_id": ticket["ticket_id"],
        "payment_id": payment["payment_id"],
        "transaction_id": adjustment["transaction_id"],
    }
    ids |= {
        "webhook_id": webhook["webhook_id"] if "webhook_id" in webhook else webhook["id"],
        "delivery_id": delivery["id"],
    }
    ids |= {"signal_id": signal["signal_id"], "order_id": order["order_id"], "sequence": "1"}
    return {name: str(value) for name, value in ids.items()}


def theirs() -> list[Any]:
    """Every item of every table that is the victim's, or mentions what the victim has written.

    When a token was last used aside.
    """
    scan = aws.client("dynamodb").scan
    found = [
        item for table in stack.load().source.tables for item in scan(TableName=config.table(table))["Items"]
    ]
    shown = [{name: value for name, value in item.items() if name != "last_used_at"} for item in found]
    return [item for item in map(str, shown) if "'7'" in item or MARK in item]


def bodies(name: str, ids: dict[str, str]) -> list[Any]:
    """The documented body, with the victim's records wherever it names some; as it is where it names none."""
    given = subjects.docs()[name].given
    if not isinstance(given, dict):
        return [given]
    body = copy.deepcopy(given)
    for field in body.keys() & NAMED.keys():
        body[field] = int(ids["account_id"]) if field == "account_id" else NAMED[field]
    if name in ("POST /accounts", "POST /strategies", "POST /tickets"):
        return [body | {"user_id": 7}]
    if name in ("POST /halt", "PATCH /risk-rules"):
        others = {"account": int(ids["account_id"]), "strategy": int(ids["strategy_id"])}
        return [body, *(body | {"scope": scope, "id": id_} for scope, id_ in others.items())]
    return [body]


def call(
    api: Api,
    who: str | None,
    method: str,
    route: str,
    body: Any,
    ids: dict[str, str],
    query: dict[str, str] | None = None,
) -> Any:
    """A call of a route with the victim's records in its path."""
    path = {name: value for name, value in ids.items() if f"{{{name}}}" in route}
    headers = {"Authorization": f"Bearer {api.tokens.get(who, who)}"} if who else {}
    where = {"route": route, "path_parameters": path or None, "query": query, "headers": headers}
    return gateway.call(APPS[served.OWNERS[method, route]], method, route.format(**path), body, **where)[:2]


def test_no_route_shows_or_changes_anything_of_another_users(victim: tuple[Api, dict[str, str]]) -> None:
    """With a stranger's token no answer has a word of the victim's, and not one of the victim's items is
    another than before.
    """
    api, ids = victim
    wrong: list[str] = []
    asked = [name for name, docs in subjects.docs().items() if docs.security == "bearer"]
    assert len(asked) > 70
    webhook_token = records.add_token("7", Kind.WEBHOOK)
    before = theirs()
    for name in asked:
        method, _, route = name.partition(" ")
        for body in bodies(name, ids):
            for who in (None, "nonsense", webhook_token):
                opened = call(api, who, method, route, body, ids)[0] != 401
                wrong += [f"{name} opens without an API token"] * opened
            status, answer = call(api, "8", method, route, body, ids)
            refused = status in (400, 403, 404, 409, 422)
            if MARK in json.dumps(answer, ensure_ascii=False):
                wrong.append(f"{name} shows {answer}")
            if not refused and name not in OWN and method != "GET":
                wrong.append(f"{name} answers {status} {answer}")
            if method != "GET" and theirs() != before:
                wrong.append(f"{name} changes another user's records")
                before = theirs()
    if theirs() != before:
        wrong.append("a GET changes another user's records")
    assert not wrong, "\n".join(wrong)


def test_no_list_gives_another_users_records_for_the_asking(victim: tuple[Api, dict[str, str]]) -> None:
    """`?user_id=` of another user is refused on every list, or gives none of that user's records."""
    api, ids = victim
    lists = [name for name, docs in subjects.docs().items() if docs.paged and "{" not in name]
    assert len(lists) > 10
    for name in lists:
        method, _, route = name.partition(" ")
        known = closed.query_names(subjects.docs()[name])
        for filters in (
            {"user_id": "7"},
            {"account_id": ids["account_id"]},
            {"entity": "user#7"},
            {"signal_id": ids["signal_id"]},
        ):
            status, answer = call(api, "8", method, route, None, ids, query=filters)
            assert status in ((200, 403, 404) if filters.keys() <= known else (400,)), (name, filters, answer)
            assert MARK not in json.dumps(answer), (name, filters)


def test_a_strangers_webhook_token_sends_no_signal_for_another_user(
    victim: tuple[Api, dict[str, str]],
) -> None:
    """A token opens its own user's path only."""
    token = records.add_token("8", Kind.WEBHOOK)
    where = {
        "route": "/personal/{user_id}/webhook",
        "path_parameters": {"user_id": "7"},
        "headers": {"X-Webhook-Token": token},
    }
    body = {"symbol": "BTCUSDT", "action": "buy", "price": 50000}
    assert gateway.call(receive_signals.app, "POST", "/personal/7/webhook", body, **where)[0] == 401


def test_anothers_account_on_ones_own_strategy(victim: tuple[Api, dict[str, str]]) -> None:
    """A strategy takes its owner's accounts only."""
    api, ids = victim
    _, mine = api("8", "POST", "/strategies", {"group_name": "g"})
    body = {"account_id": int(ids["account_id"])}
    status, answer = api(
        "8", "POST", "/strategies/{strategy_id}/accounts", body, strategy_id=mine["strategy_id"]
    )
    assert (status, answer["code"]) == (422, "unknown_reference")


def test_anothers_token_under_ones_own_path(victim: tuple[Api, dict[str, str]]) -> None:
    """A path of the caller's own cannot revoke another user's token."""
    api, ids = victim
    assert (
        api("8", "DELETE", "/users/{user_id}/tokens/{token_id}", user_id=8, token_id=ids["token_id"])[0]
        == 404
    )
    assert aws.get("credentials", {"token_hash": f"id#{ids['token_id']}"}) is not None
