"""Absence needs a second proof.

An order that its own look-up does not show may be at the exchange all the same.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.execution import query_order, submit_order
from chalicelib.orders import in_flight, store
from chalicelib.orders.models import Order
from chalicelib.trading import MarketType, OrderType
from tests.unit.execution.conftest import Live
from tests.unit.execution.test_live_faults import FIND, PLACE, inject

pytestmark = pytest.mark.usefixtures("unlimited")

FUTURES, SPOT = MarketType.FUTURES, MarketType.SPOT
EXCHANGES = ("binance", "bybit", "okx")
# How each exchange says that it does not know an order.
ABSENT: dict[str, tuple[int, Any]] = {
    "binance": (400, {"code": -2013, "msg": "Order does not exist."}),
    "bybit": (200, {"retCode": 0, "retMsg": "OK", "result": {"list": [], "nextPageCursor": ""}, "time": 1}),
    "okx": (200, {"code": "51603", "msg": "Order does not exist", "data": []}),
}
EMPTY: dict[str, tuple[int, Any]] = {
    "binance": (200, []),
    "bybit": (200, {"retCode": 0, "retMsg": "OK", "result": {"list": [], "nextPageCursor": ""}, "time": 1}),
    "okx": (200, {"code": "0", "msg": "", "data": []}),
}
TRADES = {"binance": "*rades", "bybit": "*/execution/list", "okx": "*/fills-history"}
QUERY = {"binance": "*/order", "bybit": "*/order/*", "okx": "*/trade/order"}
ALGO_QUERY = {"binance": "*/algoOrder", "okx": "*/trade/order-algo"}


def hide(live: Live, path: str) -> None:
    """The exchange's order query shows nothing for as long as the fault stands."""
    live.answer("GET", path, *ABSENT[live.exchange], times=-1)


def hide_trades(live: Live) -> None:
    live.answer("GET", TRADES[live.exchange], *EMPTY[live.exchange], times=-1)


@pytest.mark.parametrize("market_type", [FUTURES, SPOT])
@pytest.mark.parametrize("exchange", ["bybit", "okx"])
def test_trades_show_an_order_that_its_query_hides(
    open_account, exchange: str, market_type: MarketType
) -> None:
    """Done, the connection reset, the query empty.

    The trades show the order, so it is filled and sent once.
    """
    live = open_account(exchange, market_type)
    inject(live, PLACE, "reset", "after")
    hide(live, QUERY[exchange])
    live.run("buy")
    live.simulator.clear_faults()
    assert [each["status"] for each in live.there()] == ["filled"]
    [order] = live.order_store()
    assert (order.status, order.filled, order.average_price) == (
        OrderStatus.FILLED,
        Decimal("0.1"),
        Decimal(50000),
    )
    live.follow()
    assert live.agrees()


@pytest.mark.parametrize("market_type", [FUTURES, SPOT])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_changed_position_forbids_sending_again(
    open_account, exchange: str, market_type: MarketType
) -> None:
    """Neither query nor trades show the order, and the position has changed.

    No second order, and the order is reconciled later.
    """
    live = open_account(exchange, market_type)
    inject(live, PLACE, "reset", "after")
    hide(live, QUERY[exchange])
    hide_trades(live)
    live.run("buy")
    live.follow()
    assert len(live.there()) == 1
    assert [order.status for order in live.order_store()] == [OrderStatus.UNKNOWN]
    live.simulator.clear_faults()
    live.follow()
    assert [order.status for order in live.order_store()] == [OrderStatus.FILLED]
    assert live.agrees()


@pytest.mark.parametrize("market_type", [FUTURES, SPOT])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_what_no_trace_shows_is_sent_again_once(open_account, exchange: str, market_type: MarketType) -> None:
    """Reset without effect: query, trades, open orders and position all agree."""
    live = open_account(exchange, market_type)
    inject(live, PLACE, "reset", "before")
    assert not live.run("buy").refused
    assert live.sent(*PLACE[exchange]) == 2
    assert [each["status"] for each in live.there()] == ["filled"]
    assert live.agrees()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_without_a_second_proof_nothing_is_sent_again(open_account, exchange: str) -> None:
    """The trades cannot be read, so the order stays unknown until they can."""
    live = open_account(exchange, FUTURES)
    inject(live, PLACE, "reset", "before")
    live.answer("GET", TRADES[exchange], 500, {}, times=-1)
    live.run("buy")
    assert live.sent(*PLACE[exchange]) == 1
    assert [order.status for order in live.order_store()] == [OrderStatus.UNKNOWN]
    live.simulator.clear_faults()
    live.follow()
    assert [(order.status, order.code) for order in live.order_store()] == [
        (OrderStatus.REJECTED, "exchange_never_arrived")
    ]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_resting_order_is_found_in_the_list_of_open_orders(open_account, exchange: str) -> None:
    """A limit order that its query hides is open, and sent once."""
    if exchange == "bybit":
        pytest.skip("one endpoint answers both questions there")
    live = open_account(exchange, FUTURES)
    inject(live, PLACE, "reset", "after")
    hide(live, QUERY[exchange])
    live.limit()
    assert [order.status for order in live.order_store()] == [OrderStatus.OPEN]
    assert len(live.there()) == 1


def age(order: Order, seconds: float = 100) -> None:
    """Makes an order old enough to have been forgotten by its exchange."""
    past = datetime.now(UTC) - timedelta(seconds=seconds)
    changed = order.model_copy(update={"sent_at": past, "version": order.version + 1})
    in_flight.write([store.order_change_write(changed)])


@pytest.mark.parametrize("scenario", ["close", "cancel"])
@pytest.mark.parametrize("exchange", ALGO_QUERY)
def test_a_stop_that_its_query_hides_stays_ours(open_account, exchange: str, scenario: str) -> None:
    """The list of open conditional orders shows it.

    It stays open in the order store, and goes with the position or by a cancel.
    """
    live = open_account(exchange, FUTURES)
    live.run("buy", stop_loss=Decimal(45000), group_name="mine")
    stop = next(order for order in live.order_store() if order.exit_of is not None)
    age(stop)
    hide(live, ALGO_QUERY[exchange])
    live.follow()
    assert live.order_store()[1].status is OrderStatus.OPEN
    if scenario == "close":
        live.run("close")
    else:
        live.run("cancel_all_order", symbol=None, market_type=None, group_name="mine")
    assert [each["status"] for each in live.there() if each["algo"]] == ["cancelled"]
    assert live.order_store()[1].status is OrderStatus.CANCELLED


@pytest.mark.parametrize("exchange", ALGO_QUERY)
def test_an_order_is_cancelled_before_it_is_written_off(open_account, exchange: str) -> None:
    """Neither query nor list shows a stop that is live.

    The cancel by its id makes sure that it does not fire later.
    """
    live = open_account(exchange, FUTURES)
    live.run("buy", order_type=OrderType.STOP_MARKET, stop_price=Decimal(52000))
    [stop] = live.order_store()
    age(stop)
    hide(live, ALGO_QUERY[exchange])
    live.answer(
        "GET",
        {"binance": "*/openAlgoOrders", "okx": "*/orders-algo-pending"}[exchange],
        *EMPTY[exchange],
        times=-1,
    )
    live.follow()
    assert [each["status"] for each in live.there()] == ["cancelled"]
    assert live.order_store()[0].status is OrderStatus.CANCELLED


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_order_that_was_written_off_is_taken_up(
    open_account, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows up as filled afterwards: order store and event say so."""
    live = open_account(exchange, FUTURES)
    inject(live, PLACE, "reset", "after")
    hide(live, QUERY[exchange])
    hide_trades(live)
    monkeypatch.setattr(query_order, "_POSITION_COUNTS_FOR", timedelta(0))
    monkeypatch.setattr(submit_order, "_TRIES", 1)
    live.run("buy")
    assert [order.status for order in live.order_store()] == [OrderStatus.REJECTED]
    live.simulator.clear_faults()
    live.follow()
    [order] = live.order_store()
    assert (order.status, order.filled, order.code, order.written_off_at) == (
        OrderStatus.FILLED,
        Decimal("0.1"),
        None,
        None,
    )
    assert "order.filled" in live.events()
    assert live.agrees()


def test_the_watch_over_what_was_written_off_ends(open_account, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that never shows up is forgotten in the end."""
    live = open_account("binance", FUTURES)
    inject(live, PLACE, "reset", "before")
    live.answer("GET", TRADES["binance"], 500, {}, times=-1)
    live.run("buy")
    live.simulator.clear_faults()
    live.follow()
    [order] = live.order_store()
    assert order.status is OrderStatus.REJECTED
    past = datetime.now(UTC) - timedelta(hours=25)
    in_flight.write(
        [
            store.order_change_write(
                order.model_copy(update={"written_off_at": past, "version": order.version + 1})
            )
        ]
    )
    live.follow()
    assert [item["order_id"] for item in live.followed()] == ["#account"]


def test_a_query_that_is_refused_proves_nothing(open_account) -> None:
    """A look-up that the exchange refuses leaves the order unknown."""
    live = open_account("okx", FUTURES)
    inject(live, PLACE, "reset", "after")
    live.answer(FIND["okx"][0], FIND["okx"][1], 200, {"code": "59876", "msg": "no", "data": []}, times=-1)
    live.run("buy")
    assert [order.status for order in live.order_store()] == [OrderStatus.UNKNOWN]
    live.simulator.clear_faults()
    live.follow()
    assert live.agrees()
