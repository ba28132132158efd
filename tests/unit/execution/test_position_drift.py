"""Position changes without an order of ours are published once, and only if they last."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.events import event_types
from chalicelib.orders import in_flight
from tests.unit.execution.conftest import Live

pytestmark = pytest.mark.usefixtures("unlimited")


def by_hand(live: Live, quantity: str) -> None:
    """The owner trades at the exchange."""
    live.simulator.call(
        "POST", "trade", api_key=live.credentials.api_key, symbol="BTCUSDT", quantity=quantity
    )


def told(live: Live) -> list[str]:
    return [event for event in live.events() if event == "account.drifted"]


def changes() -> list[tuple[str, Decimal, bool]]:
    """Returns symbol, quantity and whether it has a price of each `position.changed` so far."""
    items = [
        aws.from_dynamodb(item) for item in aws.client("dynamodb").scan(TableName="test-outbox")["Items"]
    ]
    payloads: list[dict[str, Any]] = [
        item["payload"]
        for item in sorted(items, key=lambda item: item["created_at"])
        if item["type"] == "position.changed"
    ]
    for payload in payloads:
        jsonschema_rs.validator_for(event_types.find("position.changed").json_schema).validate(payload)
    return [
        (payload["symbol"], Decimal(payload["quantity"]), payload["average_price"] is not None)
        for payload in payloads
    ]


def test_whatever_changes_a_position_is_told_once(futures: Live) -> None:
    """A fill at the next look, a trade by hand when it is believed, and a close as a flat position."""
    futures.run("buy")
    for _ in range(2):
        futures.follow()
    assert changes() == [("BTCUSDT", Decimal("0.1"), True)]
    by_hand(futures, "-0.05")
    futures.follow()
    assert len(changes()) == 1
    for _ in range(2):
        futures.follow()
    assert changes()[1:] == [("BTCUSDT", Decimal("0.05"), True)]
    futures.run("close")
    for _ in range(2):
        futures.follow()
    assert changes()[2:] == [("BTCUSDT", Decimal(0), False)]


def test_two_positions_of_equal_size_are_seen(futures: Live) -> None:
    """A long and a short position opened by hand do not cancel out: both are published as drifts."""
    key = futures.credentials.api_key
    futures.run("buy")
    futures.run("close")
    for _ in range(2):
        futures.follow()
    before = len(changes())
    futures.simulator.call("POST", "settings", api_key=key, hedged=True)
    for side, quantity in (("long", "0.2"), ("short", "-0.2")):
        futures.simulator.call("POST", "trade", api_key=key, symbol="BTCUSDT", quantity=quantity, side=side)
    for _ in range(3):
        futures.follow()
    assert {quantity for _, quantity, _ in changes()[before:]} == {Decimal("0.2"), Decimal("-0.2")}
    assert len(told(futures)) == 1


def test_books_that_somebody_else_has_written_meanwhile(futures: Live) -> None:
    """Such positions are not overwritten, and their events are not published twice."""
    futures.run("buy")
    futures.follow()
    books = {"positions": {}, "traded": {"orders": 1, "filled": {}}, "at": datetime.now(UTC).isoformat()}
    for before in (None, books):
        with pytest.raises(Retryable):
            in_flight.write_books(futures.account_id, before, books, [])


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
    [event] = [
        item
        for item in aws.client("dynamodb").scan(TableName="test-outbox")["Items"]
        if item["type"]["S"] == "account.drifted"
    ]
    [difference] = aws.from_dynamodb(event)["payload"]["differences"]
    assert (difference["symbol"], Decimal(difference["books"]), Decimal(difference["exchange"])) == (
        "BTCUSDT",
        Decimal("0.1"),
        Decimal("0.05"),
    )


def test_our_own_orders_are_no_drift(futures: Live) -> None:
    """Entries, exits that fire and closes change the position, and our records have the change."""
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
    """A difference that is gone at the second reconciliation is no drift."""
    futures.run("buy")
    futures.follow()
    by_hand(futures, "-0.05")
    futures.follow()
    by_hand(futures, "0.05")
    futures.follow()
    futures.follow()
    assert not told(futures)
