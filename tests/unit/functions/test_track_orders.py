"""The scheduled function that queues reconciliations.

One message per account, in the account's own group, once a minute.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chalicelib import aws
from chalicelib.exchanges.protocol import OrderStatus, Side
from chalicelib.orders import in_flight
from chalicelib.orders.models import Order
from chalicelib.trading import MarketType, OrderType
from functions import track_orders
from testkit import pump
from testkit.gateway import CONTEXT

pytestmark = pytest.mark.usefixtures("emulated")


def claimed(account_id: str, exchange: str, number: int) -> Order:
    """An order of an account, claimed a moment ago and then due for long."""
    now = datetime.now(UTC)
    order = Order(
        signal_id=f"s{number}",
        account_id=account_id,
        user_id="1",
        leg="0",
        number=number,
        client_order_id=f"th{number}",
        exchange=exchange,
        market_type=MarketType.SPOT,
        symbol="BTCUSDT",
        base="BTC",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        status=OrderStatus.PENDING_NEW,
        quantity=Decimal(1),
        filled=Decimal(0),
        sent_at=now,
        created_at=now,
        updated_at=now,
    )
    in_flight.claim(order)
    in_flight.schedule_order(order, now - timedelta(hours=1))
    return order


def test_each_account_with_something_due_gets_one_message() -> None:
    """Two orders of one account are one message; what is not due yet is none."""
    for number in (1, 2):
        claimed("7", "binance", number)
    claimed("8", "okx", 1)
    in_flight.schedule_order(claimed("9", "bybit", 1), datetime.now(UTC) + timedelta(minutes=1))
    assert track_orders.handler({}, CONTEXT) == {"accounts": 2}
    [first], [second] = pump.messages("orders-binance"), pump.messages("orders-okx")
    assert (first["Attributes"]["MessageGroupId"], second["Attributes"]["MessageGroupId"]) == ("7", "8")
    assert not pump.messages("orders-bybit")


def test_nothing_due() -> None:
    """Then nothing is queued."""
    assert track_orders.handler({}, CONTEXT) == {"accounts": 0}


def test_a_schedule_that_fires_twice_queues_once() -> None:
    """Within a minute the second is a repeat of the first."""
    claimed("7", "binance", 1)
    assert [track_orders.handler({}, CONTEXT) for _ in range(2)] == [{"accounts": 1}] * 2
    if datetime.now(UTC).second:  # not across the minute
        assert len(pump.messages("orders-binance")) == 1


def test_an_account_is_found_for_its_snapshot() -> None:
    """Also without an order, when its holdings are to be looked at."""
    in_flight.schedule_account("7", "okx", datetime.now(UTC) - timedelta(seconds=1))
    assert track_orders.handler({}, CONTEXT) == {"accounts": 1}
    assert aws.get("in_flight_orders", {"account_id": "7", "order_id": in_flight.ACCOUNT_ITEM})
