"""Positions that change without an order of ours are told, once, and only if it lasts."""

from decimal import Decimal

import pytest

from chalicelib import aws
from tests.unit.orders.conftest import Live

pytestmark = pytest.mark.usefixtures("unlimited")


def by_hand(live: Live, quantity: str) -> None:
    """The owner trades at the exchange."""
    live.simulator.call("POST", "trade", api_key=live.credentials.api_key, symbol="BTCUSDT", quantity=quantity)


def told(live: Live) -> list[str]:
    return [event for event in live.events() if event == "account.drifted"]


def test_a_position_changed_by_hand(futures: Live) -> None:
    """Not at the first look, but when it is still so at the second; then never again."""
    futures.run("buy")
    futures.follow()
    by_hand(futures, "-0.05")
    futures.follow()
    assert not told(futures)
    futures.follow()
    assert told(futures)
    futures.follow()
    assert len(told(futures)) == 1
    [event] = [item for item in aws.client("dynamodb").scan(TableName="test-outbox")["Items"] if item["type"]["S"] == "account.drifted"]
    [difference] = aws.from_dynamodb(event)["payload"]["differences"]
    assert (difference["symbol"], Decimal(difference["books"]), Decimal(difference["exchange"])) == (
        "BTCUSDT",
        Decimal("0.1"),
        Decimal("0.05"),
    )


def test_our_own_orders_are_no_drift(futures: Live) -> None:
    """Entries, exits that fire and closes change the position, and the books know."""
    futures.run("buy", take_profit=Decimal(55000), stop_loss=Decimal(45000))
    futures.follow()
    futures.simulator.price("BTCUSDT", "55100")
    for _ in range(3):
        futures.follow()
    futures.run("buy")
    for _ in range(3):
        futures.follow()
    futures.run("close")
    for _ in range(3):
        futures.follow()
    assert not told(futures)


def test_a_difference_that_goes_away(futures: Live) -> None:
    """What is as the books say at the second look was none."""
    futures.run("buy")
    futures.follow()
    by_hand(futures, "-0.05")
    futures.follow()
    by_hand(futures, "0.05")
    futures.follow()
    futures.follow()
    assert not told(futures)
