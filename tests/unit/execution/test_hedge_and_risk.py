"""Accounts in hedge mode, where a signal says which position it means.

And orders no larger than what may be lost at the stop.
"""

from decimal import Decimal

import pytest

from chalicelib.trading import MarketType, PositionSide
from tests.unit.execution.conftest import Live, legs

LONG, SHORT = {"position_side": PositionSide.LONG}, {"position_side": PositionSide.SHORT}


def positions(live: Live) -> dict[str, Decimal]:
    return {name.partition("/")[2]: Decimal(each) for name, each in live.holdings["positions"].items()}


def test_both_positions_side_by_side(futures: Live) -> None:
    """Buying opens the long one and reduces the short one, selling the reverse.

    Closing one leaves the other.
    """
    futures.hedge()
    for side, quantity, which in (("buy", "0.2", LONG), ("sell", "0.3", SHORT)):
        execution = futures.run(side, quantity=Decimal(quantity), **which)
        assert not execution.refused, execution.refused
    assert positions(futures) == {"long": Decimal("0.2"), "short": Decimal("-0.3")}
    for side, which in (("sell", LONG), ("buy", SHORT)):
        execution = futures.run(side, quantity=Decimal("0.1"), **which)
        assert not execution.refused, execution.refused
    assert positions(futures) == {"long": Decimal("0.1"), "short": Decimal("-0.2")}
    futures.run("close", **SHORT)
    assert positions(futures) == {"long": Decimal("0.1")}
    assert futures.agrees()


def test_reducing_never_opens_the_other(futures: Live) -> None:
    """More than there is is cut to it; nothing there is refused."""
    futures.hedge()
    futures.run("buy", quantity=Decimal("0.1"), **LONG)
    futures.run("sell", quantity=Decimal("0.5"), **LONG)
    assert positions(futures) == {}
    assert [leg.code for leg in futures.run("sell", quantity=Decimal("0.1"), **LONG).refused] == [
        "no_position"
    ]


def test_exits_of_one_position(futures: Live) -> None:
    """They belong to the position of their entry, and closing the other leaves them."""
    futures.hedge()
    futures.run("buy", stop_loss=Decimal(45000), take_profit=Decimal(55000), **LONG)
    futures.run("sell", quantity=Decimal("0.3"), **SHORT)
    futures.run("close", **SHORT)
    assert {order.leg: order.status.value for order in futures.order_store()[:3]} == {
        "0": "filled",
        "0.sl": "open",
        "0.tp": "open",
    }
    futures.simulator.price("BTCUSDT", "44900")
    futures.follow()
    futures.follow()
    assert positions(futures) == {}
    assert futures.agrees()


@pytest.mark.parametrize("stop", ["49000", "45000"])
def test_no_more_is_bought_than_the_risk_allows(live: Live, stop: str) -> None:
    """One percent of 100 000 may be lost between 50 000 and the stop."""
    execution = live.run(
        "buy", legs=legs("100"), price=Decimal(50000), stop_loss=Decimal(stop), risk_percent=Decimal(1)
    )
    assert not execution.refused, execution.refused
    entry = live.order_store()[0]
    assert entry.quantity * (50000 - Decimal(stop)) <= 1000
    assert entry.quantity * (50000 - Decimal(stop)) > 990


def test_the_risk_makes_nothing_larger(open_account) -> None:
    """What the share of the balance buys is the most, however little a near stop would lose."""
    live = open_account("bybit", MarketType.SPOT)
    live.run("buy", legs=legs("10"), price=Decimal(50000), stop_loss=Decimal(49900), risk_percent=Decimal(50))
    assert live.order_store()[0].quantity <= Decimal("0.2")
