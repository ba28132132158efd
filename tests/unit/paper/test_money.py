"""The arithmetic of paper fills."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.accounts.rates import Rates
from chalicelib.paper.money import Fill, fill, round_money, round_price

D = Decimal


def test_the_seeds_figures() -> None:
    """100 AAPL at 185.50 fill as the paper seed prints it, to the cent."""
    done = fill(
        buying=True, price=D("185.50"), quantity=D(100), rates=Rates(), tick=D("0.01"), currency="USD"
    )
    assert done == Fill(D("185.59"), D(100), D("18559.00"), D("0.09"), D("18.56"), D("18577.56"))


def test_a_sale_brings_in_less() -> None:
    """A sale moves the price down, and its commission comes off the value."""
    done = fill(buying=False, price=D("190"), quantity=D(100), rates=Rates(), tick=D("0.01"), currency="USD")
    assert (done.price, done.value, done.commission, done.total) == (
        D("189.90"),
        D("18990.00"),
        D("18.99"),
        D("18971.01"),
    )


def test_rounding_is_half_even() -> None:
    """A price halfway between two ticks goes to the even one."""
    assert round_price(D("100.005"), D("0.01")) == D("100.00")
    assert round_price(D("100.015"), D("0.01")) == D("100.02")


def test_a_price_is_never_rounded_to_zero() -> None:
    """A price below half a tick becomes one tick."""
    assert round_price(D("0.001"), D("0.01")) == D("0.01")


def test_money_in_the_currencys_own_places() -> None:
    """Dollars have two places, bitcoin eight."""
    assert round_money(D("1.23456789123"), "USDT") == D("1.23")
    assert round_money(D("1.23456789123"), "BTC") == D("1.23456789")


@given(
    price=st.decimals("0.01", "1000000", places=2),
    quantity=st.decimals("0.001", "1000", places=3),
    buying=st.booleans(),
)
def test_the_taker_never_gains(price: Decimal, quantity: Decimal, *, buying: bool) -> None:
    """Slippage and commission are never in the taker's favour, and the total is value and commission to the
    cent.
    """
    done = fill(buying=buying, price=price, quantity=quantity, rates=Rates(), tick=D("0.01"), currency="USD")
    assert (done.price >= price) if buying else (done.price <= price)
    assert done.commission >= 0
    assert abs(done.total - done.value) == done.commission
