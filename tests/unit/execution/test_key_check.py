"""Exchange keys are checked daily and at their first use. Their owner is notified of a failing key."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import aws
from chalicelib.errors import NotDoable, Retryable
from chalicelib.exchanges import adapter
from tests.unit.execution.conftest import Live

pytestmark = pytest.mark.usefixtures("unlimited")


@pytest.fixture
def live(open_account) -> Live:
    """An account at one exchange, with an open order, so that it is reconciled."""
    account = open_account("binance")
    account.limit()
    return account


def stored(live: Live) -> dict:
    return aws.get("accounts", {"account_id": live.account_id})


def age(live: Live, by: timedelta) -> None:
    """Moves the last check into the past."""
    at = (datetime.now(UTC) - by).isoformat()
    aws.write(
        aws.update_write("accounts", {"account_id": live.account_id}, "SET key_checked_at = :at", at=at)
    )


def answer(monkeypatch, fault):
    """The exchange's answer to the next checks; counts them."""
    asked = []

    def check_key(_self):
        asked.append(fault)
        if fault:
            raise fault

    monkeypatch.setattr(adapter.CcxtExchange, "check_key", check_key)
    return asked


def test_a_key_is_checked_at_first_use_and_daily(live, monkeypatch):
    """The exchange itself answers the first time; then there is no check for a day."""
    live.follow()
    assert stored(live)["verified"] is True
    asked = answer(monkeypatch, None)
    live.follow()
    assert asked == []
    age(live, timedelta(hours=25))
    live.follow()
    live.follow()
    assert len(asked) == 1


def test_the_owner_hears_once_of_a_key_that_fails(live, monkeypatch):
    """A revoked key, or one that may withdraw by now: one event until it has been good again."""
    answer(monkeypatch, NotDoable("exchange_key_may_withdraw", exchange="binance"))
    live.follow()
    assert stored(live)["verified"] is False
    age(live, timedelta(days=2))
    live.follow()
    assert live.events().count("account.key_failed") == 1
    answer(monkeypatch, None)
    age(live, timedelta(days=2))
    live.follow()
    assert stored(live)["verified"] is True


def test_an_exchange_that_is_away_says_nothing_of_the_key(live, monkeypatch):
    """Neither verified nor failed: it is asked again at the next look."""
    asked = answer(monkeypatch, Retryable("away"))
    live.follow()
    first = len(asked)
    live.follow()
    assert 0 < first < len(asked)
    assert "key_checked_at" not in stored(live)
    assert "account.key_failed" not in live.events()
