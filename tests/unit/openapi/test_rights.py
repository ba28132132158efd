"""Who may do what.

Two walks over the OpenAPI document with every kind of caller, and the table in docs/security.md that says so.

The first walk is of the credentials that open nothing, the second of the scopes; strangers have
test_foreign.py.
"""

import copy
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import aws
from chalicelib.openapi import subjects
from chalicelib.users import change, credentials, tokens
from chalicelib.users.access import needed_scope
from chalicelib.users.create import create_user
from chalicelib.users.credentials import Kind, Scope
from chalicelib.users.models import Role
from infra.stack import ROOT
from testkit import cloud, records
from testkit.api import Api
from tests.unit.openapi.test_foreign import call, records_of

PAGE = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- rights: begin -->", "<!-- rights: end -->"
OPEN = {"none", "webhook", "telegram"}
"""The credential of a route that takes no API token."""
NOTHING = ("no token", "junk", "webhook token", "expired", "revoked", "deactivated user")


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Api, dict[str, str]]]:
    """User 7 with one record of every kind, a stranger, an admin, and a token of each kind that opens
    nothing.
    """
    with cloud.emulated():
        create_user(by="test", user_id=1, role=Role.ADMIN)
        create_user(by="test", user_id=2, role=Role.ADMIN)
        for user_id in (7, 8, 9):
            create_user(by="test", user_id=user_id)
        api = Api()
        for user_id in ("1", "7", "8"):
            api.sign_in(user_id)
        ids = records_of(api)
        past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        revoked = tokens.create_token("7", Kind.API, by="test")
        tokens.revoke_token("7", revoked.item["token_id"], by="test")
        demoted = tokens.create_token("2", Kind.API, by="test")
        change.update_user("2", {"role": Role.USER}, by="1")
        gone = tokens.create_token("9", Kind.API, by="test")
        change.set_active("9", active=False, by="1")
        api.tokens |= {
            "junk": "junk",
            "webhook token": records.add_token("7", Kind.WEBHOOK),
            "expired": records.add_token("7", Kind.API, expires_at=past),
            "revoked": revoked.token,
            "deactivated user": gone.token,
            "demoted admin": demoted.token,
        }
        for scope in Scope:
            api.tokens |= {f"user {scope}": tokens.create_token("7", Kind.API, by="test", scope=scope).token}
            api.tokens |= {f"admin {scope}": tokens.create_token("1", Kind.API, by="test", scope=scope).token}
        yield api, ids


def guarded() -> list[str]:
    """The routes that ask for an API token."""
    return [name for name, docs in subjects.docs().items() if docs.security == "bearer"]


def test_what_opens_nothing_opens_nothing(world: tuple[Api, dict[str, str]]) -> None:
    """No token, junk, a webhook's, an expired, revoked or deactivated user's token.

    Refused before anything is read or written.
    """
    api, ids = world
    wrong = []
    for name in guarded():
        method, _, route = name.partition(" ")
        for who in NOTHING:
            status, answer = call(
                api,
                None if who == "no token" else who,
                method,
                route,
                copy.deepcopy(subjects.docs()[name].given),
                ids,
            )
            expected = (403, "user_not_active") if who == "deactivated user" else (401, answer.get("code"))
            if (status, answer.get("code")) != expected:
                wrong.append(f"{name} with {who}: {status} {answer}")
    assert not wrong, "\n".join(wrong)


def test_each_scope_reaches_its_routes_and_no_others(world: tuple[Api, dict[str, str]]) -> None:
    """A token of a scope below the route's is refused as such; one of the route's scope is not.

    Bodies are empty.
    """
    api, ids = world
    wrong = []
    for name in guarded():
        method, _, route = name.partition(" ")
        needed = needed_scope(method, route)
        for scope in Scope:
            if scope.covers(needed) and method != "GET":
                continue
            status, answer = call(api, f"user {scope}", method, route, {}, ids)
            if (status == 403 and answer.get("code") == "scope_missing") is scope.covers(needed):
                wrong.append(f"{name} with {scope}: {status} {answer}")
    assert not wrong, "\n".join(wrong)


def test_only_the_scope_admin_makes_an_admin(world: tuple[Api, dict[str, str]]) -> None:
    """Neither a demoted admin nor an admin's token of another scope reads what admins read."""
    api, ids = world
    for who in ("demoted admin", "admin read", "admin trade", "admin manage"):
        assert call(api, who, "GET", "/users/{user_id}", None, ids)[0] == 404, who
        assert call(api, who, "GET", "/audit/verify", None, ids)[0] == 403, who
    assert call(api, "admin admin", "GET", "/users/{user_id}", None, ids)[0] == 200
    assert credentials.Scope.ADMIN.covers(Scope.READ)
    assert aws.get("users", {"user_id": "2", "part": "profile"})["role"] == "user"


def table(api: Api, ids: dict[str, str]) -> str:
    """Returns the table, from the routes' answers to a stranger's reads and their required rights."""
    lines = ["| route | asks for | smallest scope | whose records |", "|---|---|---|---|"]
    for name, docs in sorted(subjects.docs().items(), key=lambda each: (each[0].split()[1], each[0])):
        method, _, route = name.partition(" ")
        asks = {
            "bearer": "API token",
            "none": "nothing",
            "webhook": "webhook token or code",
            "telegram": "the bot's secret",
        }[docs.security]
        if docs.security in OPEN:
            lines.append(
                f"| `{name}` | {asks} | – | {'anybody' if docs.security == 'none' else 'the sender'} |"
            )
            continue
        whose = _whose(api, ids, method, route, docs.given)
        lines.append(f"| `{name}` | {asks} | {needed_scope(method, route)} | {whose} |")
    return "\n".join(lines)


def _whose(api: Api, ids: dict[str, str], method: str, route: str, given: object) -> str:
    status, answer = (
        call(api, "8", method, route, copy.deepcopy(given), ids)
        if method == "GET"
        else call(api, "8", method, route, {}, ids)
    )
    if status == 403 and answer.get("code") == "admin_only":
        return "admins"
    return "own; admins: everybody's"


def test_the_page_has_the_table(world: tuple[Api, dict[str, str]]) -> None:
    """`docs/security.md` says what the routes do. `TRADEHOOK_WRITE_DOCS=true` writes it."""
    made = f"{BEGIN}\n{table(*world)}\n{END}"
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if os.environ.get("TRADEHOOK_WRITE_DOCS") == "true":
        PAGE.write_text(before + made + after, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == before + made + after
