"""`position.changed`: a fill's position, published once, with the fill."""

from decimal import Decimal

import jsonschema_rs

from chalicelib.events import event_types
from chalicelib.trading import MarketType, OrderType
from testkit import pump
from tests.unit.execution.test_paper_exits import ACCOUNT, cloud, market_type, run

__all__ = ["cloud", "market_type"]


def test_each_fill_tells_what_is_held_now(market_type: MarketType) -> None:
    """Two purchases and the sale of all: quantity and average price after each.

    None for an order that only waits.
    """
    name = "BTC" if market_type is MarketType.SPOT else "BTCUSDT"
    run("buy", market_type)
    run("buy", market_type, price=Decimal(60000))
    run("buy", market_type, price=Decimal(40000), order_type=OrderType.LIMIT, quantity=Decimal("0.1"))
    run("close", market_type, price=Decimal(60000))
    pump.publish()
    events = [event for event in pump.events("user#1") if event["type"] == "position.changed"]
    shown = [
        (event["payload"]["symbol"], event["payload"]["quantity"], event["payload"]["average_price"])
        for event in events
    ]
    assert [(symbol, Decimal(quantity)) for symbol, quantity, _ in shown] == [
        (name, Decimal("0.1")),
        (name, Decimal("0.2")),
        (name, 0),
    ]
    assert [price and Decimal(price) for *_, price in shown] == [50000, 55000, None]
    assert {(event["payload"]["account_id"], event["payload"]["market_type"]) for event in events} == {
        (ACCOUNT, market_type.value)
    }
    schema = event_types.find("position.changed").json_schema
    for event in events:
        jsonschema_rs.validator_for(schema).validate(event["payload"])
