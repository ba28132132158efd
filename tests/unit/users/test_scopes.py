"""Scopes and lineage of API tokens: no token makes one that may do more, or lasts longer, or survives it."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import aws
from chalicelib.openapi import subjects
from chalicelib.users.access import needed_scope
from chalicelib.users.credentials import Scope
from testkit.api import trail

TOKENS = "/users/{user_id}/tokens"
ONE = "/users/{user_id}/tokens/{token_id}"


def make(api, who, user_id=7, **more):
    status, made = api(who, "POST", TOKENS, {"kind": "api", **more}, user_id=user_id)
    assert status == 201, made
    return made


def in_a_minute():
    return (datetime.now(UTC) + timedelta(minutes=1)).isoformat()


@pytest.mark.parametrize(
    ("scope", "reads", "halts", "manages"),
    [("read", 200, 403, 403), ("trade", 200, 200, 403), ("manage", 200, 200, 200), ("admin", 200, 200, 200)],
)
def test_each_scope_does_what_it_says(api, scope, reads, halts, manages):
    """A token opens the routes of its scope and those below."""
    token = make(api, "7", scope=scope)["token"]
    assert api(token, "GET", "/users/{user_id}", user_id=7)[0] == reads
    assert api(token, "POST", "/halt", {"scope": "user", "halted": True})[0] == halts
    status, answer = api(token, "PATCH", "/users/{user_id}/settings", {"leverage": 2}, user_id=7)
    assert status == manages
    if status == 403:
        assert (answer["code"], "manage" in answer["error"]) == ("scope_missing", True)


def test_every_route_has_a_scope():
    """What changes something needs more than reading, what shows a credential too, and what makes a token
    more than trading.
    """
    for name, docs in subjects.docs().items():
        method, _, route = name.partition(" ")
        needed = needed_scope(method, route)
        if docs.security == "bearer" and method != "GET":
            assert (needed is Scope.READ) is (name in ("POST /signals/explain", "POST /realtime/tickets")), (
                name
            )
        if "token" in route or "xc-code" in route:
            assert (
                needed is Scope.READ if name == "GET /users/{user_id}/tokens" else needed is Scope.MANAGE
            ), name


def test_an_admin_with_a_smaller_scope_is_a_user(api):
    """An admin's token of another scope opens neither others' records nor the admins' routes."""
    token = make(api, "1", user_id=1, scope="manage")["token"]
    assert api(token, "GET", "/users/{user_id}", user_id=7)[0] == 404
    assert api(token, "POST", "/users", {"user_id": 99})[0] == 403
    assert api(token, "GET", "/users/{user_id}", user_id=1)[0] == 200


def test_no_token_makes_a_wider_one(api):
    """A scope wider than the own is refused; without one the new token gets the maker's."""
    token = make(api, "7", scope="manage")["token"]
    status, answer = api(token, "POST", TOKENS, {"kind": "api", "scope": "admin"}, user_id=7)
    assert (status, answer["code"]) == (403, "scope_missing")
    assert make(api, token)["scope"] == "manage"
    assert (
        api("7", "POST", TOKENS, {"kind": "webhook", "scope": "read"}, user_id=7)[1]["code"] == "not_for_kind"
    )


@pytest.mark.parametrize("kind", ["api", "webhook"])
@pytest.mark.parametrize("asked", [None, "2027-01-01T00:00:00Z"])
def test_nothing_outlives_the_token_that_made_it(api, kind, asked):
    """What an ending token makes ends with it, whatever end is asked for."""
    ending = make(api, "7", expires_at=in_a_minute())
    made = make(api, ending["token"], kind=kind, expires_at=asked)
    assert made["expires_at"] == ending["expires_at"]
    endless = make(api, "7", kind=kind)
    rotated = api(ending["token"], "POST", f"{ONE}/rotate", user_id=7, token_id=endless["token_id"])[1]
    assert rotated["expires_at"] == ending["expires_at"]


def test_a_successor_inherits_the_duration(api):
    """A token of a minute is followed by one of a minute, also by its own request.

    An endless one by an endless one.
    """
    ending = make(api, "7", expires_at=in_a_minute())
    for _ in range(2):
        ending = api(ending["token"], "POST", f"{ONE}/rotate", user_id=7, token_id=ending["token_id"])[1]
        left = datetime.fromisoformat(ending["expires_at"]) - datetime.now(UTC)
        assert timedelta(seconds=50) < left < timedelta(seconds=63)
    endless = make(api, "7")
    assert api("7", "POST", f"{ONE}/rotate", user_id=7, token_id=endless["token_id"])[1]["expires_at"] is None


def test_revoking_revokes_descendants(api):
    """A revoked token ends all tokens made with it, directly or not, and its successors.

    Other users' tokens, too. One entry says so.
    """
    first = make(api, "1", user_id=1)
    child = make(api, first["token"], user_id=1)
    grandchild = make(api, child["token"], user_id=7)
    rotated = api(first["token"], "POST", f"{ONE}/rotate", user_id=1, token_id=first["token_id"])[1]
    late = make(api, rotated["token"], user_id=8, kind="webhook")
    other = make(api, "1", user_id=1)
    before = len(trail())
    status, answer = api("1", "DELETE", ONE, user_id=1, token_id=first["token_id"])
    assert (status, answer["revoked"]) == (200, 4)
    [entry] = trail()[before:]
    assert set(entry["after"]["also"]) == {child["token_id"], grandchild["token_id"], late["token_id"]}
    assert [
        api(each["token"], "GET", "/users/{user_id}", user_id="me")[0] for each in (first, child, grandchild)
    ] == [401, 401, 401]
    assert api(other["token"], "GET", "/users/{user_id}", user_id=1)[0] == 200
    assert api("8", "GET", TOKENS, user_id=8, query={"kind": "webhook"})[1]["items"][0]["is_active"] is False


def test_revoke_all(api):
    """Every token of a user ends at once, even if there are many, and no other user's."""
    for _ in range(35):
        make(api, "7", kind="webhook")
    status, answer = api("7", "DELETE", TOKENS, user_id=7)
    assert (status, answer["revoked"]) == (200, 36)
    assert not [
        item
        for item in api("1", "GET", TOKENS, user_id=7)[1]["items"]
        if item["is_active"] and item["kind"] == "webhook"
    ]
    assert [api(who, "GET", "/users/{user_id}", user_id="me")[0] for who in ("7", "8")] == [401, 200]
    assert aws.get("users", {"user_id": "7", "part": "profile"})["is_active"] is True
