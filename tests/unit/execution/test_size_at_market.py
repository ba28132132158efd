"""Sizes and rules go by what an order fills at, on simulated accounts.

The better of market and limit, with slippage where it takes.
"""

from decimal import Decimal

import pytest

from chalicelib.risk.halts import Scope, Switch
from chalicelib.trading import Leg, MarketType, OrderType
from testkit import records
from tests.unit.execution.test_resting_orders import held, orders, rule, send, trader

__all__ = ["trader"]
D = Decimal
USER = Switch(Scope.USER, "1", "1")


@pytest.fixture(autouse=True)
def market(trader: None) -> None:
    """BTCUSDT stands at 50000, with the usual costs."""
    records.add_account("1", "main")
    records.set_price("BTCUSDT", "50000")


@pytest.mark.parametrize("limit", ["1", "0.01", "49000", "50000"])
def test_a_marketable_short_is_sized_by_the_market(limit: str) -> None:
    """A tenth of the free balance at 10x is about two bitcoins, whatever low limit it has."""
    legs = (Leg(percent=D(1), price=D(limit)),)
    execution = send("sell", None, legs=legs, order_type=OrderType.LIMIT)
    assert not execution.refused
    assert held() == {"position#BTCUSDT": D("-0.198")} or abs(held()["position#BTCUSDT"] + D("0.198")) < D(
        "0.001"
    )


def test_a_marketable_buy_is_sized_by_the_market() -> None:
    """All of the balance buys as much as a market order would, though the limit is far above."""
    legs = (Leg(percent=D(100), price=D(90000)),)
    send("buy", None, legs=legs, order_type=OrderType.LIMIT, market_type=MarketType.SPOT)
    [bought] = held().values()
    cost = bought * D("50025.00") * D("1.001")
    assert D(99_990) < cost <= 100_000


@pytest.mark.parametrize("name", ["max_order_notional", "max_position_notional"])
@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.STOP_LIMIT])
def test_no_rule_measures_by_a_low_limit(name: str, order_type: OrderType) -> None:
    """A sale of one bitcoin is worth what the market pays, or the stop it waits for."""
    rule(USER, **{name: D(1000)})
    stop = {"stop_price": D(49000)} if order_type is OrderType.STOP_LIMIT else {}
    leg = Leg(price=D("0.01"), stop_price=stop.get("stop_price"))
    execution = send("sell", "0.01", quantity=D(1), order_type=order_type, legs=(leg,), **stop)
    assert [each.code for each in execution.refused] == [f"above_{name.removesuffix('_notional')}"]


@pytest.mark.parametrize("name", ["max_order_notional", "max_position_notional"])
def test_slippage_is_measured(name: str) -> None:
    """0.1 at 50000 fills at 50025; exactly that passes, a cent less does not."""
    rule(USER, **{name: D("5002.49")})
    assert [leg.code for leg in send("buy").refused] == [f"above_{name.removesuffix('_notional')}"]
    rule(USER, **{name: D("5002.50")})
    assert not send("buy").refused


def test_exits_are_checked_against_the_fill() -> None:
    """A take-profit below what the order fills at sells at a loss."""
    assert [leg.code for leg in send("buy", take_profit=D(50010)).refused] == ["exit_on_wrong_side"]
    assert not send("buy", take_profit=D(50100)).refused
    assert orders()["BTCUSDT.0.tp"].status == "open"
