"""Strategies and the accounts on them through the API."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib import aws
from chalicelib.accounts.manage import create_account
from chalicelib.strategies import store
from chalicelib.strategies.manage import create_strategy
from chalicelib.strategies.members import add_accounts
from chalicelib.users.models import AccountKind
from testkit.api import outbox, trail

ONE = "/strategies/{strategy_id}"
ACCOUNTS = ONE + "/accounts"
ACCOUNT = ACCOUNTS + "/{account_id}"


@pytest.fixture
def strategy(api):
    return create_strategy("7", "my_strategy", by="7").strategy_id


def account(name, kind=AccountKind.DEMO, exchange="binance"):
    return int(create_account("7", name, kind, by="7", exchange=exchange).account_id)


def test_strategy_is_stored_as_signals_read_it(api):
    """Acceptance reads a strategy by owner and name, with what planning needs of each account."""
    number = account("Main Account")
    body = {
        "group_name": "전략1",
        "symbols": ["BINANCE:BTCUSDT.P", "eth/usdt"],
        "accounts": [{"account_id": number, "weight": "33.5"}],
    }
    status, made = api("7", "POST", "/strategies", body)
    assert (status, made["accounts"], made["symbols"]) == (201, 1, ["BTCUSDT", "ETHUSDT"])
    stored = aws.get("strategies", {"user_id": "7", "group_name": "전략1"})
    member = stored["accounts"][str(number)]
    assert (member["name"], member["exchange"], member["kind"], str(member["weight"]), member["active"]) == (
        *("Main Account", "binance", "demo", "33.5", True),
    )


def test_name_is_unique_per_user(api, strategy):
    """Two users may use one name, one user may not; a deleted strategy gives it back."""
    assert api("7", "POST", "/strategies", {"group_name": "my_strategy"})[1]["code"] == "already_exists"
    assert api("8", "POST", "/strategies", {"group_name": "my_strategy"})[0] == 201
    assert api("7", "DELETE", ONE, strategy_id=strategy)[0] == 200
    assert api("7", "GET", ONE, strategy_id=strategy)[0] == 404
    assert api("7", "POST", "/strategies", {"group_name": "my_strategy"})[0] == 201


def test_accounts_are_added_changed_and_removed(api, strategy):
    """An account is put on, weighted, paused and taken off; each time the trail and an event say so."""
    number = account("A")
    assert api("7", "POST", ACCOUNTS, {"account_id": number}, strategy_id=strategy)[1]["active_accounts"] == 1
    changed = api(
        "7", "PATCH", ACCOUNT, {"weight": 50, "active": False}, strategy_id=strategy, account_id=number
    )[1]
    assert (changed["weight"], changed["active"], changed["version"]) == (50, False, 3)
    assert api("7", "GET", ACCOUNTS, strategy_id=strategy)[1]["items"][0]["weight"] == 50
    assert api("7", "DELETE", ACCOUNT, strategy_id=strategy, account_id=number)[1]["accounts"] == 0
    assert api("7", "DELETE", ACCOUNT, strategy_id=strategy, account_id=number)[0] == 404
    assert [entry["action"] for entry in trail()[-3:]] == ["strategy.accounts_changed"] * 3
    assert outbox()[-1]["payload"]["changed"] == {str(number): None}


def test_strategy_switched_off(api, strategy):
    """Switching a strategy off is a versioned edit."""
    assert (
        api("7", "PATCH", ONE, {"is_active": False, "version": 1}, strategy_id=strategy)[1]["is_active"]
        is False
    )
    status, answer = api("7", "PATCH", ONE, {"resync": True, "version": 1}, strategy_id=strategy)
    assert (status, answer["version"]) == (409, 2)
    assert [
        item["group_name"]
        for item in api("7", "GET", "/strategies", query={"is_active": "false"})[1]["items"]
    ] == ["my_strategy"]


def test_thousand_accounts_fit(api, strategy):
    """A strategy takes a thousand accounts in one call, and not one more."""
    for number in range(10_000, 11_001):
        item = {
            "account_id": str(number),
            "user_id": "7",
            "name": f"계좌 {number} " + "가" * 50,
            "exchange": "binance",
            "kind": "demo",
        }
        aws.write(aws.put_write("accounts", item))
    entries = [{"account_id": number} for number in range(10_000, 11_000)]
    assert api("7", "POST", ACCOUNTS, {"accounts": entries}, strategy_id=strategy)[1]["accounts"] == 1000
    page = api("7", "GET", ACCOUNTS, strategy_id=strategy, query={"limit": "200"})[1]
    assert (len(page["items"]), page["total"]) == (200, 1000)
    following = api(
        "7", "GET", ACCOUNTS, strategy_id=strategy, query={"limit": "200", "cursor": page["next"]}
    )[1]
    assert following["items"][0]["account_id"] == 10_200
    status, answer = api("7", "POST", ACCOUNTS, {"account_id": 11_000}, strategy_id=strategy)
    assert (status, answer["code"]) == (422, "too_many_accounts")


def test_simultaneous_additions_all_stay(api, strategy):
    """Accounts put on at the same moment do not push each other off."""
    numbers = [account(f"A{index}") for index in range(4)]
    found = store.get(strategy)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: add_accounts(found, [{"account_id": number}], by="7"), numbers))
    assert store.get(strategy).accounts.keys() == {str(number) for number in numbers}


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ({}, 400, "missing_field", "account_id"),
        ({"account_id": 99}, 422, "unknown_reference", "account_id"),
        ({"account_id": "abc"}, 400, "invalid_number", "account_id"),
        ({"account_id": 1, "weight": 0}, 400, "must_be_more", "weight"),
        ({"accounts": [{"weight": 5}]}, 400, "missing_field", "accounts.0.account_id"),
        ({"accounts": "all"}, 400, "invalid_list", "accounts"),
        ({"accounts": [{"account_id": 1}] * 1001}, 400, "too_many_entries", "accounts"),
        ({"account_id": 1, "leverage": 5}, 400, "unknown_field", "leverage"),
    ],
)
def test_bad_member_is_refused_by_field(api, strategy, body, status, code, named):
    """Every bad field of an account on a strategy gets a 4xx that names it."""
    answer = api("7", "POST", ACCOUNTS, body, strategy_id=strategy)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert named in answer[1]["error"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ({"group_name": "  "}, "too_short"),
        ({"group_name": "x" * 65}, "too_long"),
        ({"group_name": 5}, "invalid_text"),
        ({"group_name": "g", "symbols": ["???"]}, "unknown_symbol"),
        ({"group_name": "g", "symbols": "BTCUSDT"}, "invalid_list"),
    ],
)
def test_bad_strategy_is_refused(api, body, code):
    """Every bad field of a new strategy gets a 400 with its code."""
    status, answer = api("7", "POST", "/strategies", body)
    assert (status, answer["code"]) == (400, code)


def test_account_twice_in_one_call(api, strategy):
    """The same account twice in one list is a contradiction, not two weights."""
    number = account("A")
    body = {"accounts": [{"account_id": number, "weight": 10}, {"account_id": number, "weight": 20}]}
    assert api("7", "POST", ACCOUNTS, body, strategy_id=strategy)[1]["code"] == "already_exists"
