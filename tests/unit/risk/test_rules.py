"""Setting risk rules through the API, and their effect."""

from datetime import UTC, datetime

import pytest

from chalicelib.accounts.manage import create_account
from chalicelib.risk.rules import Hours
from chalicelib.strategies.manage import create_strategy
from chalicelib.users.models import AccountKind
from testkit.api import outbox, trail


@pytest.fixture
def account(api):
    return int(create_account("7", "A", AccountKind.PAPER, by="7").account_id)


@pytest.fixture
def strategy(api):
    return int(create_strategy("7", "g", by="7").strategy_id)


def set_(api, who, **body):
    return api(who, "PATCH", "/risk-rules", body)


def test_a_page_behind_the_last_is_empty(api):
    """Nothing is looked up for it."""
    status, answer = api("7", "GET", "/risk-rules", query={"limit": "5", "offset": "99"})
    assert (status, answer["items"]) == (200, [])


def test_rules_of_each_scope_are_kept_and_listed(api, account, strategy):
    """A user, an account and a strategy have rules of their own; the list has them all, set or not."""
    set_(api, "7", scope="user", max_daily_loss="250.5", flatten=True)
    set_(
        api,
        "7",
        scope="account",
        id=account,
        allowed_symbols=["BINANCE:BTCUSDT.P", "btc/usdt"],
        cooldown_s=30,
    )
    set_(
        api,
        "7",
        scope="strategy",
        id=strategy,
        trading_hours=[{"days": ["Mon"], "start": "22:00", "end": "02:00"}],
    )
    user, mine, theirs = api("7", "GET", "/risk-rules")[1]["items"]
    assert (user["scope"], user["id"], user["max_daily_loss"], user["flatten"], user["version"]) == (
        "user",
        7,
        250.5,
        True,
        1,
    )
    assert (mine["id"], mine["allowed_symbols"], mine["cooldown_s"], mine["max_daily_loss"]) == (
        account,
        ["BTCUSDT"],
        30,
        None,
    )
    assert (theirs["id"], theirs["name"], theirs["trading_hours"]) == (
        strategy,
        "g",
        [{"days": ["mon"], "start": "22:00", "end": "02:00"}],
    )


def test_a_change_is_told_and_in_the_trail(api):
    """A change is an event and an audit entry with the fields that changed; the same again is neither.

    Null takes a rule away.
    """
    set_(api, "7", scope="user", max_order_notional=500)
    set_(api, "7", scope="user", max_order_notional=500)
    assert set_(api, "7", scope="user", max_order_notional=None)[1]["max_order_notional"] is None
    told = [event["payload"] for event in outbox() if event["type"] == "trading.rules_changed"]
    assert [each["rules"] for each in told] == [{"max_order_notional": "500"}, {"max_order_notional": None}]
    assert [entry["action"] for entry in trail()].count("trading.rules_changed") == 2


def test_two_who_edit_the_same_rules(api):
    """The second, who saw the same version, gets a 409 with the current one, and nothing is lost."""
    assert set_(api, "7", scope="user", cooldown_s=5, version=0)[1]["version"] == 1
    status, answer = set_(api, "1", scope="user", id=7, max_open_positions=3, version=0)
    assert (status, answer["code"], answer["version"]) == (409, "version_conflict", 1)
    assert set_(api, "1", scope="user", id=7, max_open_positions=3, version=1)[1]["cooldown_s"] == 5


def test_a_halt_keeps_the_rules_and_rules_keep_the_halt(api):
    """Both stand in one item, and neither overwrites the other."""
    set_(api, "7", scope="user", cooldown_s=5)
    api("7", "POST", "/halt", {"scope": "user", "halted": True})
    set_(api, "7", scope="user", max_open_positions=2)
    [shown] = [item for item in api("7", "GET", "/halt")[1]["items"] if item["scope"] == "user"]
    assert shown["halted"] is True
    [rules] = api("7", "GET", "/risk-rules")[1]["items"]
    assert (rules["cooldown_s"], rules["max_open_positions"]) == (5, 2)


def test_what_an_admin_has_set_a_user_does_not_change(api):
    """A user loosens no rule of an admin's."""
    set_(api, "1", scope="user", id=7, max_daily_loss=100)
    assert set_(api, "7", scope="user", max_daily_loss=None)[0] == 403
    assert set_(api, "8", scope="user", id=7, max_daily_loss=None)[0] == 404


def test_a_strategy_is_halted_and_resumed(api, strategy):
    """A strategy has a switch as users and accounts have."""
    assert (
        api("7", "POST", "/halt", {"scope": "strategy", "id": strategy, "halted": True})[1]["halted"] is True
    )
    assert api("8", "POST", "/halt", {"scope": "strategy", "id": strategy, "halted": False})[0] == 404
    payload = next(event["payload"] for event in outbox() if event["type"] == "trading.halted")
    assert (payload["scope"], payload["group_name"], payload["user_id"]) == ("strategy", "g", 7)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"scope": "global"}, "invalid_choice"),
        ({"scope": "user", "max_daily_loss": 0}, "must_be_more"),
        ({"scope": "user", "max_daily_loss": "much"}, "invalid_number"),
        ({"scope": "user", "max_open_positions": 1.5}, "invalid_number"),
        ({"scope": "user", "max_orders_per_minute": 201}, "must_be_at_most"),
        ({"scope": "user", "trading_hours": [{"start": "25:00", "end": "02:00"}]}, "invalid_value"),
        ({"scope": "user", "trading_hours": [{"start": "02:00"}]}, "missing_field"),
        (
            {"scope": "user", "trading_hours": [{"days": ["someday"], "start": "02:00", "end": "03:00"}]},
            "invalid_choice",
        ),
        ({"scope": "account", "cooldown_s": 1}, "missing_field"),
        ({"scope": "user", "max_loss": 1}, "unknown_field"),
    ],
)
def test_bad_rules_are_refused(api, body, code):
    """Every bad field gets a 400 with its code."""
    status, answer = api("7", "PATCH", "/risk-rules", body)
    assert (status, answer["code"]) == (400, code), answer


@pytest.mark.parametrize(
    ("hours", "at", "within"),
    [
        (Hours(days=("mon",), start="08:00", end="16:30"), "2026-11-23T08:00", True),
        (Hours(days=("mon",), start="08:00", end="16:30"), "2026-11-23T16:30", False),
        (Hours(days=("mon",), start="08:00", end="16:30"), "2026-11-24T09:00", False),
        (Hours(days=("sun",), start="22:00", end="02:00"), "2026-11-23T01:59", True),
        (Hours(days=("sun",), start="22:00", end="02:00"), "2026-11-22T01:59", False),
        (Hours(days=("mon",)), "2026-11-23T23:59", True),
    ],
)
def test_hours(hours, at, within):
    """A stretch holds from its start up to its end, which may be on the day after."""
    assert hours.hold(datetime.fromisoformat(at).replace(tzinfo=UTC)) is within
