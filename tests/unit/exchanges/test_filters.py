"""Filters: quantities toward zero, prices to the safe side, refusals that say what would do."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import NotDoable
from chalicelib.exchanges import filters
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Side
from chalicelib.trading import MarketType, OrderType

numbers = st.decimals("0.00000001", "1000000", places=8)
steps = st.sampled_from([Decimal(step) for step in ("0.00000001", "0.001", "0.25", "1", "10")])


def instrument(tick="0.1", step="0.001", minimum="0.002", maximum="100", notional="10"):
    values = map(Decimal, (tick, step, minimum, maximum, notional))
    return Instrument("BTCUSDT", "BTC", "USDT", MarketType.SPOT, *values)


def order(quantity="1", price=None, stop=None, side=Side.BUY, **fields):
    values = (Decimal(value) if value else None for value in (quantity, price, stop))
    return OrderRequest(
        "a", instrument(), side, OrderType.LIMIT if price else OrderType.MARKET, *values, **fields
    )


@given(numbers, steps)
def test_quantity_is_rounded_toward_zero(quantity, step):
    """The rounded quantity is a multiple of the step, at most the requested one, by less than a step."""
    rounded = filters.round_quantity(instrument(step=str(step)), quantity)
    assert rounded % step == 0
    assert 0 <= quantity - rounded < step


@given(numbers, steps)
def test_price_is_rounded_to_the_safe_side(price, tick):
    """A buy limit never rises, a sell limit never falls, and neither moves by a tick or more."""
    one = instrument(tick=str(tick))
    buy, sell = filters.round_price(one, price, Side.BUY), filters.round_price(one, price, Side.SELL)
    assert 0 == buy % tick == sell % tick
    assert 0 <= price - buy < tick
    assert 0 <= sell - price < tick


@given(numbers, steps)
def test_a_trigger_is_never_early(price, tick):
    """A stop that waits for a rise is rounded up, one that waits for a fall down."""
    one = instrument(tick=str(tick))
    assert (
        filters.round_trigger(one, price, trigger_above=True)
        >= price
        >= filters.round_trigger(one, price, trigger_above=False)
    )


@pytest.mark.parametrize(
    ("request_", "code", "nearest"),
    [
        (order("0.001"), "below_minimum_quantity", "0.002"),
        (order("100.001"), "above_maximum_quantity", "100"),
        (order("1.0005"), "quantity_off_step", "1"),
        (order("1", price="100.05"), "price_off_tick", "100"),
        (order("1", price="100.05", side=Side.SELL), "price_off_tick", "100.1"),
        (order("1", price="0.05"), "price_off_tick", "0.1"),
        (order("1", stop="100.05"), "price_off_tick", "100"),
        (order("0.002", price="300"), "below_minimum_notional", "0.034"),
    ],
)
def test_refusals_name_the_rule_and_what_would_do(request_, code, nearest):
    """A refusal's code is the rule, and its nearest value passes."""
    with pytest.raises(NotDoable) as refusal:
        filters.check(request_)
    assert (code, nearest) == (refusal.value.code, refusal.value.values["nearest"])


def test_market_orders_are_worth_the_reference_price():
    """Without a price of its own an order's worth is judged by the price given for reference, or left to the
    exchange.
    """
    filters.check(order("0.002"))
    with pytest.raises(NotDoable, match="below_minimum_notional"):
        filters.check(order("0.002"), Decimal(100))


def test_what_reduces_may_be_small():
    """Closing the rest of a position must not fail because of its small value."""
    filters.check(order("0.002", price="1", reduce_only=True))
