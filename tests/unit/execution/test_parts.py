"""A quantity in parts, the names of the parts, and their sum."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.errors import NotDoable
from chalicelib.exchanges.oversize import is_too_large
from chalicelib.exchanges.protocol import Instrument, Position
from chalicelib.execution.closing import closing_order, leavings, parts
from chalicelib.orders.legs import part_of, whole
from chalicelib.orders.models import Order, in_one
from chalicelib.telegram import wording
from chalicelib.trading import MarketType, PositionSide

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def instrument(**rules: str) -> Instrument:
    numbers = {name: Decimal(value) for name, value in rules.items()}
    return Instrument(
        "BTCUSDT",
        "BTC",
        "USDT",
        MarketType.FUTURES,
        Decimal("0.1"),
        Decimal("0.001"),
        Decimal("0.01"),
        **numbers,
    )


def held(quantity: str, side: PositionSide | None = None, mode: str | None = None) -> Position:
    return Position("BTCUSDT", MarketType.FUTURES, Decimal(quantity), position_side=side, margin_mode=mode)


@pytest.mark.parametrize(
    ("rules", "quantity", "expected"),
    [
        ({}, "7", ["7"]),
        ({"maximum_market_quantity": "3"}, "3", ["3"]),
        ({"maximum_market_quantity": "3"}, "7", ["3", "3", "1"]),
        ({"maximum_quantity": "2", "maximum_market_quantity": "3"}, "5", ["2", "2", "1"]),
        # What would be left is below the minimum, so the part before takes less.
        ({"maximum_market_quantity": "3"}, "3.005", ["2.995", "0.01"]),
        # By value, with room for the price to rise by a tenth: 0.9 at 100.
        ({"maximum_market_value": "100"}, "2", ["0.9", "0.9", "0.2"]),
    ],
)
def test_parts(rules: dict[str, str], quantity: str, expected: list[str]) -> None:
    """As large as they may be, none below the minimum, and together all of it."""
    found = parts(instrument(**rules), Decimal(quantity), Decimal(100))
    assert found == [Decimal(each) for each in expected]
    assert sum(found) == Decimal(quantity)


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([held("1", mode="cross")], ["close"]),
        ([held("1", LONG), held("-1", SHORT)], ["close", "close-short"]),
        ([held("1", LONG, "cross"), held("-1", SHORT, "cross")], ["close", "close-short"]),
        ([held("1", mode="cross"), held("1", mode="isolated")], ["close", "close-isolated"]),
        (
            [held("1", LONG, "cross"), held("1", LONG, "isolated"), held("-1", SHORT, "cross")],
            ["close", "close-long-isolated", "close-short"],
        ),
    ],
)
def test_positions_have_legs_of_their_own(positions: list[Position], expected: list[str]) -> None:
    """A further one by what tells it from the others, and its parts after that."""
    legs = [each.leg for each in leavings(positions, "close")]
    assert legs == expected
    names = [part_of(leg, number) for leg in legs for number in (1, 2, 3)]
    assert len(set(names)) == len(names)
    assert {whole(name) for name in names} == {"close"}


def test_some_of_several_positions() -> None:
    """From the first on, until there is enough."""
    found = leavings([held("1", mode="cross"), held("2", mode="isolated"), held("3")], "0", Decimal("1.5"))
    assert [(each.leg, each.left) for each in found] == [("0", Decimal(1)), ("0-isolated", Decimal("0.5"))]


def test_the_closing_order_of_a_short_isolated_position() -> None:
    """It buys, reduces only, and names side and mode."""
    order = closing_order(held("-2", SHORT, "isolated"), instrument(), Decimal(1))
    assert (order.side, order.quantity, order.reduce_only, order.hedged, order.margin_mode) == (
        "buy",
        1,
        True,
        True,
        "isolated",
    )
    assert (order.leverage, order.price) == (None, None)


def order(leg: str, status: str, quantity: str, filled: str, price: str | None = None) -> Order:
    given: dict[str, Any] = (
        {"average_price": price, "value": Decimal(filled) * Decimal(price)} if price else {}
    )
    now = datetime.now(UTC)
    return Order(
        signal_id="s",
        account_id="1",
        user_id="1",
        leg=leg,
        number=1,
        client_order_id=f"c{leg}",
        exchange_order_id=None if status == "rejected" else f"x{leg}",
        exchange="okx",
        market_type="futures",
        symbol="BTCUSDT",
        base="BTC",
        side="sell",
        order_type="market",
        status=status,
        quantity=quantity,
        filled=filled,
        created_at=now,
        updated_at=now,
        **given,
    )


def test_parts_are_told_as_one_order() -> None:
    """Requested once, filled together, at the average price.

    A part refused for its size does not count.
    """
    found = in_one(
        [
            order("close", "rejected", "10", "0"),
            order("close-2", "cancelled", "5", "2", "100"),
            order("close-3", "filled", "8", "8", "90"),
            order("0", "open", "1", "0"),
        ]
    )
    assert [each.leg for each in found] == ["close", "0"]
    first = found[0]
    assert (first.quantity, first.filled, first.average_price, first.status) == (10, 10, 92, "filled")
    assert first.exchange_order_id == "xclose-2"


@pytest.mark.parametrize(
    ("exchange", "code", "reason", "expected"),
    [
        ("binance", "-1013", "Filter failure: MARKET_LOT_SIZE", True),
        ("binance", "-1013", "Filter failure: LOT_SIZE", False),
        ("binance", "-4005", "Quantity greater than max quantity.", True),
        ("bybit", "10001", "The number of contracts exceeds maximum limit allowed: too large", True),
        ("bybit", "10001", "position idx not match position mode", False),
        ("okx", "51202", "Market order amount exceeds the maximum amount.", True),
        ("okx", "51008", "Insufficient balance", False),
    ],
)
def test_too_large(exchange: str, code: str, reason: str, expected: bool) -> None:
    """Only refusals about the size of a market order."""
    assert (
        is_too_large(NotDoable("exchange_refused", exchange=exchange, exchange_code=code, reason=reason))
        is expected
    )


def test_a_halt_tells_what_is_left_open() -> None:
    """In Telegram, after the reason."""
    left = [
        {"account_id": "1", "symbol": "ETHUSDT", "side": "short", "quantity": "0.3"},
        {"account_id": "2", "code": "exchange_key_missing"},
    ]
    reason = wording._reason({"reason": "max_daily_loss", "left_open": left}, "en")
    assert (
        reason
        == ": the daily loss has reached its limit; still open: ETHUSDT short 0.3, exchange_key_missing"
    )
