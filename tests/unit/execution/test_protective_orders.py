"""Take-profit and stop-loss of an entry.

Placed once it has traded, one cancels the other, and none is silently missing.
"""

import time
from decimal import Decimal

import pytest

from chalicelib import aws
from chalicelib.execution import protective_orders
from chalicelib.trading import MarketType
from tests.unit.execution.conftest import LATE_S, Live
from tests.unit.execution.scenarios import EXITS

pytestmark = pytest.mark.usefixtures("unlimited")


def by_leg(live: Live) -> dict[str, str]:
    """The status of each of the account's orders by its leg."""
    return {order.leg: order.status.value for order in live.order_store()}


def position(live: Live) -> Decimal:
    """Returns what the account holds beyond its first holdings."""
    if live.market_type is MarketType.FUTURES:
        return sum((Decimal(each) for each in live.holdings["positions"].values()), Decimal(0))
    return Decimal(live.holdings["balances"]["spot"]["BTC"]) - 2


def test_an_entry_gets_its_exits(live: Live) -> None:
    """Both wait at the exchange, for the quantity that was received, and nothing more is due on the entry."""
    execution = live.run("buy", **EXITS)
    assert not execution.refused, execution.refused
    assert by_leg(live) == {"0": "filled", "0.sl": "open", "0.tp": "open"}
    entry, *left = live.order_store()
    assert {order.stop_price for order in left} == {Decimal(45000), Decimal(55000)}
    assert all(
        order.quantity <= entry.received and order.quantity > entry.received * Decimal("0.98")
        for order in left
    )
    assert [order.leg for order in execution.orders] == ["0"]
    assert not entry.unprotected
    assert live.agrees()
    followed = {
        item["order_id"]
        for item in aws.query_all("in_flight_orders", "account_id = :account", account=live.account_id)
    }
    assert entry.order_id not in followed


@pytest.mark.parametrize(
    ("price", "filled", "cancelled"), [("55100", "0.tp", "0.sl"), ("44900", "0.sl", "0.tp")]
)
def test_one_exit_cancels_the_other(live: Live, price: str, filled: str, cancelled: str) -> None:
    """The price comes to one: the position is left once, and the other order goes."""
    live.run("buy", **EXITS)
    live.simulator.price("BTCUSDT", price)
    live.follow()
    live.follow()
    assert by_leg(live) == {"0": "filled", filled: "filled", cancelled: "cancelled"}
    assert abs(position(live)) < Decimal("0.001")
    assert live.agrees()


@pytest.mark.parametrize("price", ["55100", "44900"])
@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_an_account_that_holds_no_more_than_it_bought(open_account, exchange: str, price: str) -> None:
    """The fee was taken from the purchase.

    Either exit is for the rest, rounded down to the step, and sells it.
    """
    live = open_account(
        exchange, MarketType.SPOT, balances={"spot": {"USDT": "100000"}, "futures": {"USDT": "100000"}}
    )
    live.run("buy", quantity=Decimal("0.123456"), **EXITS)
    [entry, stop, _] = live.order_store()
    assert stop.quantity <= Decimal(live.holdings["balances"]["spot"]["BTC"]) < entry.filled
    live.simulator.price("BTCUSDT", price)
    live.follow()
    live.follow()
    filled, cancelled = ("0.tp", "0.sl") if price == "55100" else ("0.sl", "0.tp")
    assert by_leg(live) == {"0": "filled", filled: "filled", cancelled: "cancelled"}
    assert 0 <= Decimal(live.holdings["balances"]["spot"]["BTC"]) < Decimal("0.00001")
    assert live.agrees()


def test_a_short_entry_has_its_exits_on_the_other_sides(futures: Live) -> None:
    """The stop-loss of a short position is above the market."""
    futures.run("short", quantity=Decimal("0.1"), take_profit=Decimal(45000), stop_loss=Decimal(55000))
    futures.simulator.price("BTCUSDT", "55100")
    futures.follow()
    futures.follow()
    assert by_leg(futures) == {"0": "filled", "0.sl": "filled", "0.tp": "cancelled"}
    assert not position(futures)


def test_a_resting_entry_gets_its_exits_when_it_fills(live: Live) -> None:
    """Each part that fills is protected when it is seen."""
    live.limit("49000", **EXITS)
    assert by_leg(live) == {"0": "open"}
    live.simulator.price("BTCUSDT", "48900", size="0.04")
    live.follow()
    assert by_leg(live) == {"0": "partially_filled", "0.sl": "open", "0.tp": "open"}
    live.simulator.price("BTCUSDT", "48900")
    live.follow()
    live.follow()
    orders = live.order_store()
    stops = [order for order in orders if order.leg.startswith("0.sl")]
    assert len(stops) == 2
    assert Decimal("0.098") < sum(order.quantity for order in stops) <= orders[0].received
    assert live.agrees()


def test_an_exit_that_cannot_be_placed_is_told_and_tried_again(live: Live) -> None:
    """The exchange turns the stop-loss away.

    An event says so at once, and the follow-up places it when the exchange takes it.
    """
    key = live.credentials.api_key
    signal = live.signal("buy", **EXITS)
    live.simulator.call("POST", "refuse", api_key=key, stops=True)
    live.execute(signal)
    assert "order.protection_failed" in live.events()
    assert live.order_store()[0].unprotected
    live.simulator.call("POST", "refuse", api_key=key, stops=False)
    live.follow()
    statuses = by_leg(live)
    assert (statuses["0.sl1"], statuses["0.tp1"]) == ("open", "open")
    assert not live.order_store()[0].unprotected
    assert live.agrees()


def test_trying_comes_to_an_end(open_account, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its rounds the order is given up, and the last event says that there will be no further try."""
    monkeypatch.setattr(protective_orders, "ROUNDS", 2)
    live = open_account("binance", MarketType.FUTURES)
    live.simulator.call("POST", "refuse", api_key=live.credentials.api_key, stops=True)
    live.run("buy", **EXITS)
    for _ in range(3):
        live.follow()
    assert live.events().count("order.protection_failed") == 2
    assert not live.order_store()[0].unprotected


def test_a_price_that_has_passed_the_stop_already(live: Live) -> None:
    """The market fell through the stop before it could be placed: the position is left at market."""
    live.limit("49000", stop_loss=Decimal(48000))
    live.simulator.price("BTCUSDT", "47000")
    live.follow()
    assert by_leg(live) == {"0": "filled", "0.sl": "filled"}
    assert abs(position(live)) < Decimal("0.001")


def test_exits_on_the_wrong_side_open_nothing(live: Live) -> None:
    """A stop-loss above a purchase, or a take-profit below, is refused before anything is placed."""
    for wrong in ({"stop_loss": Decimal(51000)}, {"take_profit": Decimal(49000)}):
        execution = live.run("buy", price=Decimal(50000), **wrong)
        assert [leg.code for leg in execution.refused] == ["exit_on_wrong_side"]
    assert not live.there()


def test_a_signal_that_closes_takes_the_exits_along(live: Live) -> None:
    """After a close nothing of the position is left, and nothing waits that could open another."""
    live.run("buy", **EXITS)
    execution = live.run("close")
    assert not execution.refused, execution.refused
    assert {status for leg, status in by_leg(live).items() if "." in leg} == {"cancelled"}
    assert {order.code for order in live.order_store() if order.exit_of} == {"position_left"}
    assert live.agrees()


def test_an_order_lost_on_its_way_is_placed_anew(open_account) -> None:
    """The worker died between claiming the stop-loss and sending it.

    The follow-up finds that out, and places another.
    """
    live = open_account("okx", MarketType.FUTURES)
    live.run("buy", stop_loss=Decimal(45000))
    stop = live.order_store()[1]
    live.simulator.call("POST", "forget", api_key=live.credentials.api_key, client_id=stop.client_order_id)
    key = {"signal_id": stop.signal_id, "leg": f"{stop.account_id}#{stop.leg}"}
    aws.write(aws.update_write("orders", key, "SET #status = :claimed", claimed="pending_new"))
    time.sleep(2 * LATE_S)  # before that bound the exchange may only be slow to show the order
    live.follow()
    assert by_leg(live)["0.sl"] == "rejected"
    live.follow()
    assert by_leg(live)["0.sl1"] == "open"
    assert live.agrees()
