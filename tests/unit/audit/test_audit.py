"""The audit trail through the API."""

from datetime import UTC, datetime

from chalicelib import aws
from chalicelib.audit import record
from chalicelib.users.models import Role


def test_admin_sees_everything_newest_first(api):
    """An admin reads the whole trail, and one user's part of it."""
    api("1", "POST", "/users", {"user_id": 20})
    api("7", "POST", "/strategies", {"group_name": "g"})
    items = api("1", "GET", "/audit")[1]["items"]
    assert [(item["by"], item["action"]) for item in items[:2]] == [
        (7, "strategy.created"),
        (1, "user.created"),
    ]
    assert [item["user_id"] for item in api("1", "GET", "/audit", query={"user_id": "20"})[1]["items"]] == [
        20
    ]


def test_user_sees_what_concerns_them(api):
    """A user reads only changes about that user, also those by an admin."""
    api("1", "PATCH", "/users/{user_id}/settings", {"leverage": 3}, user_id=7)
    items = api("7", "GET", "/audit", query={"action": "user.settings_updated"})[1]["items"]
    assert [(item["by"], item["after"]) for item in items] == [(1, {"leverage": 3})]
    assert {item["user_id"] for item in api("7", "GET", "/audit")[1]["items"]} == {7}


def test_filters_by_entity_and_page(api):
    """The trail of one record, page after page."""
    for leverage in (2, 3, 4):
        api("1", "PATCH", "/users/{user_id}/settings", {"leverage": leverage}, user_id=7)
    query = {"entity": "user#7", "by": "1", "limit": "2"}
    first = api("1", "GET", "/audit", query=query)[1]
    second = api("1", "GET", "/audit", query=query | {"cursor": first["next"]})[1]
    assert [item["after"]["leverage"] for item in first["items"] + second["items"]] == [4, 3, 2]


def test_values_of_every_type_are_kept(api):
    """Times, enumerated values and lists in a change are stored as text and lists."""
    now = datetime.now(UTC)
    change = record.Change(
        "1",
        "x",
        "y",
        None,
        now,
        after={"at": now, "role": Role.ADMIN, "list": (Role.USER,), "map": {"a": None}},
    )
    aws.write(record.write(change))
    [item] = api("1", "GET", "/audit", query={"action": "x"})[1]["items"]
    assert item["after"] == {"at": now.isoformat(), "role": "admin", "list": ["user"], "map": {"a": None}}
