"""Sizes in every unit, exits in part and target sizes on accounts at exchanges."""

from decimal import Decimal

import pytest

from tests.unit.execution.conftest import Live

D = Decimal


def position(live: Live) -> Decimal:
    """The position at the exchange."""
    return sum((Decimal(each) for each in live.holdings["positions"].values()), D(0))


@pytest.mark.parametrize(
    "size", [{"quantity": D("0.1")}, {"position_percent": D(50)}, {"quote_amount": D(5000)}]
)
def test_an_exit_in_part(futures: Live, size: dict[str, Decimal]) -> None:
    """An order to flat takes its size off and leaves the rest with its stop-loss.

    Delivered twice it trades once.
    """
    futures.run("buy", quantity=D("0.2"), stop_loss=D(45000))
    instruction = futures.signal("close", **size)
    for _ in range(2):
        assert not futures.execute(instruction).refused
    assert position(futures) == D("0.1")
    assert [order.status.value for order in futures.order_store() if order.leg == "0.sl"] == ["open"]
    assert not futures.run("close", quantity=D(5)).refused
    assert position(futures) == 0
    assert [leg.code for leg in futures.run("close", quantity=D(5)).refused] == ["no_position"]
    assert futures.agrees()


def test_a_reversal_leads_to_the_target(futures: Live) -> None:
    """The old position goes, and no more opens than the alert's size; a `short` that shrinks reduces."""
    futures.run("buy", quantity=D("0.1"))
    futures.run("short", quantity=D("0.3"), target_size=D("0.2"))
    assert position(futures) == D("-0.2")
    futures.run("short", quantity=D("0.1"), target_size=D("0.1"), shrinks=True)
    assert position(futures) == D("-0.1")
    assert [leg.code for leg in futures.run("short", quantity=D("0.1"), target_size=D("0.1")).refused] == [
        "target_reached"
    ]
    assert position(futures) == D("-0.1")
    assert futures.agrees()


def test_an_exit_that_came_late_does_nothing(futures: Live) -> None:
    """It settles without a look at the exchange."""
    futures.run("sell", quantity=D("0.1"))
    execution = futures.run("close", came_late=True)
    assert (execution.note, execution.orders, execution.succeeded) == ("came_late", (), True)
    assert position(futures) == D("-0.1")


def test_a_stop_that_is_a_distance_is_never_sent(live: Live) -> None:
    """The check runs before the order is sent, where acceptance did not know the entry."""
    assert [leg.code for leg in live.run("buy", stop_loss=D(2)).refused] == ["stop_too_far"]
    assert live.there() == []


def test_what_cannot_be_computed_is_settled(live: Live) -> None:
    """Beyond the bound it is refused at once, and never delivered again."""
    for quantity in (D("1e18"), D("1e30")):
        assert [leg.code for leg in live.run("buy", quantity=quantity).refused] == ["out_of_range"]
    assert live.there() == []
