"""Several take-profits at an exchange: each share of the position has a stop-loss of its own."""

from decimal import Decimal

import pytest

from chalicelib.execution import protective_orders
from chalicelib.trading import BreakEven, ExitLevel, ExitPlan, MarketType, TakeProfit, TrailingStop
from tests.unit.execution.conftest import Live
from tests.unit.execution.test_protective_orders import by_leg, position

pytestmark = pytest.mark.usefixtures("unlimited")

D = Decimal
TWO = {
    "stop_loss": ExitLevel(percent=D(10)),
    "take_profits": (TakeProfit(percent=D(4), share=D(50)), TakeProfit(distance=D(5000), share=D(25))),
}


def open_legs(live: Live) -> set[str]:
    return {leg for leg, status in by_leg(live).items() if status == "open"}


def test_each_share_has_its_own_pair(live: Live) -> None:
    """Measured from the average fill. The rest has a stop-loss only. Together they cover the entry."""
    execution = live.run("buy", **TWO)
    assert not execution.refused, execution.refused
    assert open_legs(live) == {"0.sl", "0.tp", "0.slb", "0.tpb", "0.slc"}
    entry, *_ = orders = live.order_store()
    found = {order.leg: order for order in orders}
    assert entry.average_price is not None
    assert {found[leg].stop_price for leg in ("0.sl", "0.slb", "0.slc")} == {entry.average_price * D("0.9")}
    assert found["0.tp"].stop_price == entry.average_price * D("1.04")
    assert found["0.tpb"].stop_price == entry.average_price + 5000
    covered = sum(order.quantity for leg, order in found.items() if ".sl" in leg)
    assert entry.received * D("0.98") < covered <= entry.received
    assert abs(found["0.tp"].quantity * 2 - covered) < D("0.002")
    assert not entry.unprotected
    assert live.agrees()


def test_a_take_profit_takes_its_share_only(live: Live) -> None:
    """Its stop-loss goes, the others stay and leave the rest."""
    live.run("buy", **TWO)
    live.simulator.price("BTCUSDT", "52500")
    live.follow()
    live.follow()
    assert open_legs(live) == {"0.slb", "0.tpb", "0.slc"}
    assert by_leg(live)["0.tp"] == "filled"
    assert D("0.049") < position(live) < D("0.051")
    live.simulator.price("BTCUSDT", "44000")
    live.follow()
    live.follow()
    assert open_legs(live) == set()
    assert {by_leg(live)[leg] for leg in ("0.slb", "0.slc")} == {"filled"}
    assert abs(position(live)) < D("0.001")
    assert live.agrees()


def test_all_take_profits_leave_nothing(live: Live) -> None:
    """Shares of 100 % sell the whole position, and every stop-loss goes."""
    live.run(
        "buy",
        stop_loss=D(45000),
        take_profits=(TakeProfit(price=D(52000), share=D(33)), TakeProfit(price=D(53000), share=D(67))),
    )
    for price in ("52100", "53100"):
        live.simulator.price("BTCUSDT", price)
        live.follow()
        live.follow()
    assert open_legs(live) == set()
    assert abs(position(live)) < D("0.001")
    assert live.agrees()


def test_a_close_takes_all_exits_along(live: Live) -> None:
    """Nothing is left that could open another position."""
    live.run("buy", **TWO)
    assert not live.run("close").refused
    assert open_legs(live) == set()
    assert live.agrees()


def test_a_refused_stop_loss_is_tried_again_for_its_share_only(open_account) -> None:
    """The other shares keep their exits. What has none gets them in the next round."""
    live = open_account("binance", MarketType.FUTURES)
    signal = live.signal("buy", **TWO)
    live.simulator.fault(
        exchange="binance", method="POST", path="*/algoOrder", kind="slow", seconds=0.01, times=1
    )
    live.answer("POST", "*/algoOrder", 400, {"code": -4045, "msg": "Reach max stop order limit."})
    live.execute(signal)
    assert open_legs(live) == {"0.sl", "0.tp", "0.slc"}
    assert live.events().count("order.protection_failed") == 1
    bare = live.order_store()[0].unprotected
    assert D("0.024") <= bare <= D("0.026")
    live.follow()
    assert not live.order_store()[0].unprotected
    stops = sum(
        order.quantity for order in live.order_store() if ".sl" in order.leg and order.status == "open"
    )
    assert stops == live.order_store()[0].received
    assert live.agrees()


@pytest.mark.parametrize(
    ("exchange", "market_type", "count"),
    [("binance", MarketType.SPOT, 3), ("bybit", MarketType.FUTURES, 6)],
)
def test_more_exits_than_the_exchange_keeps_are_refused(
    open_account, exchange: str, market_type: MarketType, count: int
) -> None:
    """Before anything is sent. The error says how many it keeps."""
    live = open_account(exchange, market_type)
    share = D(100 // count)
    targets = tuple(TakeProfit(percent=D(each), share=share) for each in range(1, count + 1))
    [refused] = live.run("buy", stop_loss=D(45000), take_profits=targets).refused
    assert (refused.code, refused.values["limit"]) == ("too_many_exits", 5 if exchange == "binance" else 10)
    assert not live.there()


@pytest.mark.parametrize(
    ("exits", "field"),
    [
        ({"trailing_stop": TrailingStop(percent=D(1))}, "trailing_stop"),
        ({"stop_loss": D(45000), "break_even_after": BreakEven(percent=D(1))}, "break_even_after"),
    ],
)
def test_a_moving_stop_is_refused(live: Live, exits, field: str) -> None:
    """An entry whose stop would not move is not opened."""
    [refused] = live.run("buy", **exits).refused
    assert (refused.code, refused.values["field"]) == ("exit_not_managed", field)
    assert not live.there()


def test_a_passed_take_profit_sells_its_share_at_market(futures: Live) -> None:
    """The other shares get their orders."""
    futures.limit("49000", stop_loss=ExitLevel(percent=D(10)), take_profits=TWO["take_profits"])
    futures.simulator.price("BTCUSDT", "48900")
    futures.simulator.price("BTCUSDT", "51500")
    futures.follow()
    assert by_leg(futures)["0.tp"] == "filled"
    assert open_legs(futures) == {"0.slb", "0.tpb", "0.slc"}
    assert futures.agrees()


def test_a_batch_is_bounded_by_its_exits() -> None:
    """Each entry counts with its exits, so that one transaction holds them all."""
    plans = [live_plan(count) for count in (1, 2, 6)]
    assert [protective_orders.most_entries(plan) for plan in plans] == [8, 4, 1]


def live_plan(count: int) -> ExitPlan:
    share = D(100) / count
    return ExitPlan(
        stop_loss=ExitLevel(percent=D(1)),
        take_profits=tuple(TakeProfit(percent=D(2), share=share) for _ in range(count)),
    )


def test_a_stop_loss_that_never_arrived_takes_its_take_profit_along(open_account) -> None:
    """Both are placed again. Two take-profits of one share would together exceed the position."""
    live = open_account("binance", MarketType.FUTURES)
    live.answer("POST", "*/algoOrder", 400, {"code": -1007, "msg": "Timeout"}, times=1)
    live.answer("GET", "*/algoOrder", 500, {}, times=40)
    live.execute(live.signal("buy", stop_loss=D(45000), take_profit=D(55000)))
    assert by_leg(live)["0.tp"] == "open"
    live.simulator.clear_faults()
    for _ in range(4):
        live.follow()
    assert open_legs(live) == {"0.sl1", "0.tp1"}
    assert by_leg(live)["0.tp"] == "cancelled"
    assert live.agrees()
