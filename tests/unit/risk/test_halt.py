"""The halt switches."""

import pytest

from chalicelib import aws
from chalicelib.accounts.manage import create_account
from chalicelib.risk import halts
from chalicelib.risk.halts import Scope, Switch
from chalicelib.users.models import AccountKind
from testkit.api import outbox, trail


@pytest.fixture
def account(api):
    return int(create_account("7", "A", AccountKind.PAPER, by="7").account_id)


def throw(api, who, **body):
    return api(who, "POST", "/halt", body)


def test_switch_is_stored_as_execution_reads_it(api, account):
    """Each scope's switch is the item that acceptance and execution read."""
    throw(api, "1", scope="global", halted=True, reason="maintenance")
    throw(api, "7", scope="user", halted=True)
    throw(api, "7", scope="account", id=account, halted=True)
    for scope in ("global", "user#7", f"account#{account}"):
        assert aws.get("risk", {"scope": scope})["halted"] is True
    throw(api, "1", scope="global", halted=False)
    assert aws.get("risk", {"scope": "global"})["halted"] is False


def test_everybody_concerned_is_told(api, account):
    """A halt is an event of its user, and an entry in the trail; the same again is neither."""
    for _ in range(2):
        throw(api, "7", scope="account", id=account, halted=True, reason="daily_loss")
    throw(api, "7", scope="account", id=account, halted=False)
    events = [
        event
        for event in outbox()
        if event["type"].startswith("account.") and event["type"] != "account.created"
    ]
    assert [(event["type"], event["user_id"]) for event in events] == [
        ("account.halted", "7"),
        ("account.resumed", "7"),
    ]
    assert events[0]["payload"] == {"account_id": str(account), "reason": "daily_loss"}
    assert [entry["action"] for entry in trail()[-2:]] == ["account.halted", "account.resumed"]


def test_only_admins_halt_everybody(api):
    """The global switch is the admins'."""
    assert throw(api, "7", scope="global", halted=True)[0] == 403
    assert throw(api, "1", scope="global", halted=True)[1]["halted"] is True
    assert [event["type"] for event in outbox()][-1] == "trading.halted"


def test_user_does_not_lift_what_an_admin_halted(api):
    """A user resumes their own halt, not an admin's."""
    throw(api, "7", scope="user", halted=True)
    assert throw(api, "7", scope="user", halted=False)[1]["halted"] is False
    throw(api, "1", scope="user", id=7, halted=True)
    assert throw(api, "7", scope="user", halted=False)[0] == 403
    assert throw(api, "1", scope="user", id=7, halted=False)[1]["halted"] is False


def test_list_shows_what_concerns_a_user(api, account):
    """The list has the global switch, the user's and those of the user's accounts, thrown or not."""
    throw(api, "7", scope="account", id=account, halted=True, reason="why")
    shown = api("7", "GET", "/halt")[1]
    assert [(item["scope"], item["id"], item["halted"]) for item in shown["items"]] == [
        ("global", None, False),
        ("user", 7, False),
        ("account", account, True),
    ]
    assert api("7", "GET", "/halt", query={"limit": "1"})[1]["total"] == 3


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"halted": True}, 400, "missing_field"),
        ({"scope": "user"}, 400, "missing_field"),
        ({"scope": "planet", "halted": True}, 400, "invalid_choice"),
        ({"scope": "user", "halted": "perhaps"}, 400, "invalid_flag"),
        ({"scope": "account", "halted": True}, 400, "missing_field"),
        ({"scope": "account", "id": 99, "halted": True}, 404, "account_not_found"),
        ({"scope": "user", "id": 99, "halted": True}, 404, "not_found"),
        ({"scope": "user", "halted": True, "reason": "x" * 501}, 400, "too_long"),
    ],
)
def test_bad_switch_is_refused(api, body, status, code):
    """Every bad field of a switch gets a 4xx with its code."""
    answer = api("7", "POST", "/halt", body)
    assert (answer[0], answer[1]["code"]) == (status, code)


def test_rules_throw_switches_too(api):
    """A risk rule halts an account without HTTP, and its owner may resume it."""
    switch = Switch(Scope.ACCOUNT, "5", "7")
    assert (
        halts.set_switch(switch, halted=True, by="risk", admin=False, reason="daily_loss")["halted"] is True
    )
    assert halts.set_switch(switch, halted=False, by="7", admin=False)["halted"] is False
