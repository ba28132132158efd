"""Strategies whose expected signal is overdue."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import aws
from chalicelib.signals import expected_signals
from functions import receive_signals, sweep
from testkit import pump, records
from testkit.gateway import CONTEXT, call
from testkit.metrics import written

ONE = "/strategies/{strategy_id}"
HOUR = timedelta(hours=1)
ORDER = {
    "group_name": "watched",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
}
ORDER |= {"order_type": "MARKET", "side": "buy", "qty_per": 10}


def stored() -> dict:
    return aws.get("strategies", {"user_id": "7", "group_name": "watched"}) or {}


def silent_in(**later: float) -> list[str]:
    return [
        each["group_name"]
        for each in expected_signals.silent_strategies(datetime.now(UTC) + timedelta(**later))
    ]


@pytest.fixture
def strategy_id(api) -> int:
    """A strategy that expects a signal every hour."""
    status, made = api("7", "POST", "/strategies", {"group_name": "watched", "expect_every_s": 3600})
    assert (status, made["expect_every_s"]) == (201, 3600)
    return made["strategy_id"]


def test_silence_is_noticed_after_the_expected_time_and_a_twentieth(strategy_id):
    """Never early, and at most a twentieth late."""
    assert silent_in(minutes=62) == []
    assert silent_in(minutes=64) == ["watched"]


def test_a_signal_ends_silence(api, strategy_id):
    """An accepted signal moves the time; one that would move it by less than a twentieth writes nothing."""
    account = records.add_account("7", "demo", kind="demo", exchange="binance")
    aws.write(
        aws.update_write(
            "strategies", {"user_id": "7", "group_name": "watched"}, "SET accounts = :of", of=member(account)
        )
    )
    token = records.add_token("7")

    def send(price: str) -> int:
        return call(
            receive_signals.app,
            "POST",
            "/api/webhook",
            ORDER | {"price": price, "token": token},
            query={"wait": "0"},
        )[0]

    before = stored()["silent_from"]
    assert send("50000") == 202
    assert stored()["silent_from"] == before
    overdue = (datetime.now(UTC) - HOUR).isoformat()
    aws.write(
        aws.update_write(
            "strategies", {"user_id": "7", "group_name": "watched"}, "SET silent_from = :then", then=overdue
        )
    )
    assert silent_in() == ["watched"]
    assert send("50001") == 202
    assert silent_in(minutes=62) == []
    assert silent_in(minutes=64) == ["watched"]


def member(account_id: str) -> dict:
    return {
        account_id: {
            "name": "demo",
            "exchange": "binance",
            "kind": "demo",
            "market_types": ["spot", "futures"],
            "active": True,
        }
    }


@pytest.mark.parametrize("change", [{"expect_every_s": None}, {"is_active": False}])
def test_a_strategy_that_expects_nothing_is_not_watched(api, strategy_id, change):
    """Without the expectation, or with the strategy off, the watch ends.

    The reverse starts it again.
    """
    assert api("7", "PATCH", ONE, change, strategy_id=strategy_id)[0] == 200
    assert silent_in(days=40) == []
    assert not {"watched", "silent_from"} & stored().keys()
    back = {"expect_every_s": 3600} if "expect_every_s" in change else {"is_active": True}
    assert api("7", "PATCH", ONE, back, strategy_id=strategy_id)[0] == 200
    assert silent_in(minutes=64) == ["watched"]


def test_another_change_leaves_the_watch_alone(api, strategy_id):
    """A new description is no sign of life."""
    before = stored()["silent_from"]
    assert api("7", "PATCH", ONE, {"description": "new"}, strategy_id=strategy_id)[0] == 200
    assert stored()["silent_from"] == before


def test_a_deleted_strategy_is_not_brought_back_by_its_last_signal(api, strategy_id):
    """A signal in progress while its strategy is deleted does not write a part of the strategy again."""
    item = stored() | {"silent_from": (datetime.now(UTC) - HOUR).isoformat()}
    assert api("7", "DELETE", ONE, strategy_id=strategy_id)[0] == 200
    expected_signals.note_signal(item, datetime.now(UTC))
    assert stored() == {}


@pytest.mark.parametrize("seconds", [0, 299, 2_678_401, 1.5, "often"])
def test_bad_expectations(api, seconds):
    """Less than five minutes would be silence between two bars, more than a month is none."""
    status, answer = api("7", "POST", "/strategies", {"group_name": "x", "expect_every_s": seconds})
    assert status == 400
    assert "expect_every_s" in answer["error"]


def test_the_sweep_counts_them(api, strategy_id, capsys):
    """The gauge is written each minute, zero included."""
    sweep.handler({}, CONTEXT)
    assert written(capsys, "SilentStrategies") == [(0, {})]
    past = (datetime.now(UTC) - HOUR).isoformat()
    aws.write(
        aws.update_write(
            "strategies", {"user_id": "7", "group_name": "watched"}, "SET silent_from = :then", then=past
        )
    )
    assert sweep.handler({}, CONTEXT)["silent"] == 1
    assert pump.items("strategies")
