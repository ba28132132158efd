"""Cancelling one order at an exchange."""

from datetime import UTC, datetime
from decimal import Decimal

from chalicelib.errors import Retryable
from chalicelib.execution.cancel_order import cancel_order
from chalicelib.orders.models import CancelOrder
from tests.unit.execution.conftest import Live


def cancel(live: Live, order_id: str, cancel_id: str = "c", deliveries: int = 4) -> None:
    """Delivers a cancel until it has settled."""
    message = CancelOrder(
        cancel_id=cancel_id,
        user_id="1",
        account_id=live.account_id,
        exchange=live.exchange,
        order_id=order_id,
        at=datetime.now(UTC),
    )
    for _ in range(deliveries):
        try:
            cancel_order(message, 20)
        except Retryable:
            continue
        return


def test_one_order_is_cancelled_and_the_others_stay(live: Live) -> None:
    """At the exchange and in the order store. A second delivery changes nothing."""
    live.limit("49000")
    live.limit("48000")
    first, second = live.order_store()
    for _ in range(2):
        cancel(live, first.order_id)
    assert [order.status for order in live.order_store()] == ["cancelled", "open"]
    assert live.agrees()
    assert live.events().count("order.cancelled") == 1
    assert live.order_store()[1] == second


def test_a_fill_that_comes_first_stands(live: Live) -> None:
    """The order filled at the exchange before the cancel: it is recorded as filled."""
    live.limit("49000")
    live.simulator.price("BTCUSDT", "48900")
    [order] = live.order_store()
    cancel(live, order.order_id)
    live.follow()
    [order] = live.order_store()
    assert (order.status, order.filled) == ("filled", Decimal("0.1"))
    assert live.agrees()
