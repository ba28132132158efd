"""Exits as percent, distance and shares: where they stand after the fill, and how the position is split."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import NotDoable, Refused
from chalicelib.exchanges import filters
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Side
from chalicelib.execution import protective_orders
from chalicelib.orders.models import Instruction
from chalicelib.trading import ExitFields, ExitLevel, ExitPlan, MarketType, OrderType, TakeProfit

D = Decimal
SPOT, FUTURES = MarketType.SPOT, MarketType.FUTURES


def instrument(
    tick: str = "0.1", step: str = "0.001", market_type: MarketType = FUTURES, **more
) -> Instrument:
    return Instrument("BTCUSDT", "BTC", "USDT", market_type, D(tick), D(step), **more)


def split(plan: ExitPlan, quantity: str, entry: str = "50000", side: Side = Side.BUY, **more):
    return protective_orders.shares(plan, instrument(**more), side, D(quantity), D(entry))


def plan_of(*shares: str, stop: str | None = "2") -> ExitPlan:
    take_profits = tuple(
        TakeProfit(percent=D(number), share=D(share)) for number, share in enumerate(shares, 1)
    )
    return ExitPlan(stop_loss=ExitLevel(percent=D(stop)) if stop else None, take_profits=take_profits)


@pytest.mark.parametrize(
    ("side", "level", "stop", "take_profit"),
    [
        (Side.BUY, ExitLevel(percent=D(2)), "49024.6", "51025.6"),
        (Side.SELL, ExitLevel(percent=D(2)), "51025.5", "49024.5"),
        (Side.BUY, ExitLevel(distance=D("100.05")), "49925.0", "50125.1"),
        (Side.SELL, ExitLevel(distance=D("100.05")), "50125.1", "49925.0"),
        (Side.BUY, ExitLevel(price=D("49000.01")), "49000.1", None),
        (Side.BUY, ExitLevel(percent=D("0.0001")), "49999.9", None),
    ],
)
def test_levels_are_measured_from_the_average_fill(side, level, stop, take_profit) -> None:
    """A stop is rounded toward the entry and a take-profit away from it. A stop stays a tick away."""
    entry = "50025.05" if take_profit else "50000"
    target = TakeProfit(**level.model_dump())
    [share] = split(ExitPlan(stop_loss=level, take_profits=(target,)), "1", entry, side)
    assert share.stop_loss == D(stop)
    if take_profit:
        assert share.take_profit == D(take_profit)


LEVELS = st.one_of(
    st.decimals("0.001", "60", places=3).map(lambda value: ExitLevel(percent=value)),
    st.decimals("0.001", "30000", places=3).map(lambda value: ExitLevel(distance=value)),
)


@given(
    entry=st.decimals("45000", "55000", places=3),
    level=LEVELS,
    side=st.sampled_from(list(Side)),
    tick=st.sampled_from(["0.01", "0.1", "0.5", "1"]),
)
def test_rounding_never_makes_a_stop_wider(entry: D, level: ExitLevel, side: Side, tick: str) -> None:
    """In exact fractions: at most as far away as asked, less than a tick closer, and at least a tick away."""
    long = side is Side.BUY
    stop = filters.stop_loss_price(instrument(tick), level, entry, trigger_above=not long)
    away = Fraction(entry) - Fraction(stop) if long else Fraction(stop) - Fraction(entry)
    asked = (
        Fraction(level.distance)
        if level.distance is not None
        else Fraction(entry) * Fraction(level.percent) / 100
    )
    least = Fraction(D(tick))
    assert stop % D(tick) == 0
    assert away <= max(asked, 2 * least)
    assert away >= least
    assert away > asked - least


@given(
    shares=st.lists(st.decimals("1", "100", places=1), min_size=1, max_size=6),
    steps=st.integers(1, 5000),
    whole=st.booleans(),
    minimum=st.integers(1, 40),
)
def test_shares_never_exceed_the_position(shares: list[D], steps: int, whole: bool, minimum: int) -> None:
    """They add up to the whole quantity, each on the step. With 100 % nothing is left over."""
    total = sum(shares)
    scaled = [share * 100 / total for share in shares[:-1]] if whole or total > 100 else shares
    if whole:
        scaled.append(100 - sum(scaled))
    plan = plan_of(*map(str, scaled))
    quantity = steps * D("0.001")
    found = split(plan, str(quantity), minimum_quantity=minimum * D("0.001"))
    assert sum(share.quantity for share in found) == quantity
    assert all(share.quantity % D("0.001") == 0 and share.quantity > 0 for share in found)
    if quantity >= minimum * D("0.001"):
        assert all(share.quantity >= minimum * D("0.001") for share in found)
    if whole:
        assert sum(share.quantity for share in found if share.take_profit) == quantity


def test_shares_of_a_position() -> None:
    """Half at the first, a quarter at the second, the rest with the stop-loss only."""
    first, second, rest = split(plan_of("50", "25"), "0.101")
    assert [first.quantity, second.quantity, rest.quantity] == [D("0.050"), D("0.025"), D("0.026")]
    assert [first.take_profit, second.take_profit, rest.take_profit] == [D(50500), D(51000), None]
    assert {first.stop_loss, second.stop_loss, rest.stop_loss} == {D(49000)}


def test_a_share_below_the_minimum_joins_the_next() -> None:
    """Each exit would be refused alone. On spot the minimum notional counts too."""
    found = split(plan_of("1", "50", "49"), "0.1", minimum_quantity=D("0.002"))
    assert [(share.number, share.quantity) for share in found] == [(1, D("0.051")), (2, D("0.049"))]
    [only] = split(plan_of("50", "50"), "0.002", market_type=SPOT, minimum_notional=D(100))
    assert only.quantity == D("0.002")


def test_a_position_too_small_for_any_take_profit_is_refused() -> None:
    """It would be opened without the exit that was asked for. The error says how much would do."""
    small = instrument(minimum_quantity=D("0.002"))
    order = OrderRequest("", small, Side.BUY, OrderType.MARKET, D("0.019"), exits=plan_of("10"))
    with pytest.raises(NotDoable) as refused:
        protective_orders.check_shares(order, D(50000))
    assert (refused.value.code, refused.value.values["nearest"]) == ("below_minimum", "0.02")
    protective_orders.check_shares(replace(order, quantity=D("0.02")), D(50000))
    protective_orders.check_shares(replace(order, exits=plan_of("10", "90")), D(50000))


def entry(side: Side = Side.BUY) -> OrderRequest:
    return OrderRequest("", instrument(), side, OrderType.MARKET, D(1))


def signal(**exits) -> Instruction:
    return Instruction.model_construct(**ExitFields(**exits).__dict__)


@pytest.mark.parametrize(
    ("side", "exits", "field"),
    [
        (Side.BUY, {"stop_loss": D(50001)}, "stop_loss"),
        (Side.SELL, {"take_profit": ExitLevel(percent=D(100))}, "take_profit"),
        (Side.SELL, {"take_profit": ExitLevel(distance=D(60000))}, "take_profit"),
        (Side.BUY, {"stop_loss": ExitLevel(distance=D("0.01"))}, "stop_loss"),
        (
            Side.BUY,
            {
                "take_profits": (
                    TakeProfit(percent=D(1), share=D(50)),
                    TakeProfit(price=D(49000), share=D(50)),
                )
            },
            "take_profits[1]",
        ),
    ],
)
def test_an_exit_on_the_wrong_side_is_named(side: Side, exits, field: str) -> None:
    """Before anything is sent."""
    with pytest.raises(NotDoable) as refused:
        protective_orders.with_exits(entry(side), signal(**exits), D(50000))
    assert (refused.value.code, refused.value.values["field"]) == ("exit_on_wrong_side", field)


def test_a_distance_too_far_is_refused() -> None:
    """More than 80 % of the entry, once the entry is known."""
    with pytest.raises(Refused) as refused:
        protective_orders.with_exits(entry(), signal(stop_loss=ExitLevel(distance=D(41000))), D(50000))
    assert refused.value.code == "stop_too_far"


def test_a_price_travels_as_a_plain_number() -> None:
    """As in the body. Other forms keep their key."""
    sent = ExitFields(stop_loss=D(45000), take_profit=ExitLevel(percent=D(2)))
    dumped = sent.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    assert dumped == {"stop_loss": "45000", "take_profit": {"percent": "2"}}
    assert ExitFields.model_validate(dumped) == sent
