"""Closing positions on a simulated account.

Exits end with their position, a refusal changes nothing, and no order stays behind.
"""

from decimal import Decimal

import pytest

from chalicelib.accounts.model import Account
from chalicelib.paper import store as paper_store
from chalicelib.paper.book import Book
from chalicelib.trading import Leg, MarketType, OrderType, Symbol
from tests.unit.execution import test_paper_exits
from tests.unit.execution.test_paper_exits import cloud, events, held, market_type, order_store, run, see

__all__ = ["cloud", "market_type"]
D = Decimal
FUTURES, SPOT = MarketType.FUTURES, MarketType.SPOT
DOGE = Symbol(raw="DOGEUSDT", base="DOGE", quote="USDT")


def book() -> Book:
    return paper_store.read_book(
        Account.model_validate(test_paper_exits.aws.get("accounts", {"account_id": test_paper_exits.ACCOUNT}))
    )


def waiting() -> list[tuple[str, Decimal]]:
    """Legs and quantities of what waits, as the book and the order store both have them."""
    in_book = sorted((each.reference["leg"], each.order.quantity) for each in book().waiting.values())
    stored = test_paper_exits.aws.query_all(
        "orders", "account_id = :account", index="by_account", account=test_paper_exits.ACCOUNT
    )
    in_store = sorted(
        (item["leg"].rpartition("#")[2], item["quantity"]) for item in stored if item["status"] == "open"
    )
    assert in_book == in_store
    return in_book


@pytest.mark.parametrize("leave", ["sell", "short", "close", "stop"])
def test_exits_end_with_the_position(leave: str) -> None:
    """However it became flat, a stop of before does not close the next position."""
    run("buy", FUTURES, stop_loss=D(45000), take_profit=D(60000))
    run(leave, FUTURES, price=D(51000))
    assert [leg for leg, _ in waiting()] == []
    if leave == "short":
        run("close", FUTURES, price=D(50000))
    run("buy", FUTURES, price=D(46000), stop_loss=D(40000))
    see("44900")
    assert held() == D("0.1")
    assert waiting() == [("0.sl", D("0.1"))]


def test_a_resting_order_that_makes_flat_ends_the_exits() -> None:
    """Its fill needs no signal."""
    run("buy", FUTURES, stop_loss=D(45000))
    run("sell", FUTURES, order_type=OrderType.LIMIT, price=D(52000))
    see("52000")
    assert (held(), waiting()) == (0, [])
    assert order_store()["0.sl"].code == "position_left"


def test_a_partial_sale_shortens_the_exits(market_type: MarketType) -> None:
    """The rest stays protected; the oldest exits are reduced first."""
    run("buy", market_type, stop_loss=D(45000))
    run("buy", market_type, price=D(50100), stop_loss=D(44000), quantity=D("0.2"))
    run("sell", market_type, quantity=D("0.05"))
    assert waiting() == [("0.sl", D("0.05")), ("0.sl", D("0.2"))]
    run("sell", market_type, quantity=D("0.1"), price=D(50200))
    assert waiting() == [("0.sl", D("0.15"))]
    see("43000")
    assert (held(), waiting()) == (0, [])


def test_exits_cover_what_their_strategy_owns(market_type: MarketType) -> None:
    """A strategy that sells its holding does not touch another's exits, and cancels its own."""
    run("buy", market_type, stop_loss=D(45000), group_name="a")
    run("buy", market_type, stop_loss=D(44000), group_name="b", price=D(50100))
    run("sell", market_type, group_name="a", price=D(50200))
    assert waiting() == [("0.sl", D("0.1"))]
    see("44500")
    assert held() == D("0.1"), "the stop of the strategy that has left is gone"
    see("43900")
    assert held() == 0


@pytest.mark.parametrize("refused", [{"quantity": D(5)}, {"quantity": D("0.000000001")}])
def test_a_refused_sale_leaves_the_exits(refused: dict[str, Decimal]) -> None:
    """A refusal changes nothing."""
    run("buy", SPOT, stop_loss=D(45000), take_profit=D(60000))
    before = (waiting(), len(events()))
    assert run("sell", SPOT, price=D(50100), **refused).refused
    assert (waiting(), len(events())) == (before[0], before[1] + 1), "one event, of the refusal"


def test_a_close_sells_all_that_is_held() -> None:
    """Though the step has grown with a price that crossed a power of ten, nothing stays behind."""
    run("buy", SPOT, symbol=DOGE, price=D("0.1003"), quantity=D("100.5"))
    execution = run("close", SPOT, symbol=DOGE, price=D("0.0998"))
    assert [order.filled for order in execution.orders] == [D("100.5")]
    assert held() == 0


@pytest.mark.parametrize("how", [{"legs": (Leg(percent=D(100)),)}, {"quantity": D("100.5")}])
def test_a_sale_of_everything_sells_everything(how) -> None:
    """By percent or by exactly the held quantity."""
    run("buy", SPOT, symbol=DOGE, price=D("0.1003"), quantity=D("100.5"))
    run("sell", SPOT, symbol=DOGE, price=D("0.0998"), **how)
    assert held() == 0


def test_halves_of_an_odd_number_of_steps(market_type: MarketType) -> None:
    """50 % and 50 % of three steps are all three."""
    step = D("0.000001")
    run("buy", market_type, quantity=3 * step, price=D(50000))
    bought = held()
    run("sell", market_type, legs=(Leg(percent=D(50)), Leg(percent=D(50))))
    assert (bought, held()) == (3 * step, 0)


def test_what_reduces_is_carried_out_in_full() -> None:
    """A fill rate below 1 is for what opens; a close leaves nothing."""
    aws = test_paper_exits.aws
    aws.write(
        aws.put_write(
            "accounts",
            {**(aws.get("accounts", {"account_id": test_paper_exits.ACCOUNT}) or {}), "fill_rate": D("0.5")},
        )
    )
    run("short", FUTURES)
    assert held() == D("-0.05")
    run("long", FUTURES, price=D(50100))
    assert held() == D("0.05")
    run("close", FUTURES, price=D(50200))
    assert held() == 0


def test_a_cancel_says_why(market_type: MarketType) -> None:
    """A stop whose price has gapped beyond its reserved funds."""
    run("buy", market_type, order_type=OrderType.STOP_MARKET, stop_price=D(51000), quantity=D("1.9"))
    see("90000")
    assert (order_store()["0"].status, order_store()["0"].code) == ("cancelled", "insufficient_funds")


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
def test_orders_that_do_not_wait(market_type: MarketType, time_in_force: str) -> None:
    """Below the market they end at once, at the market they fill."""
    limits = {"order_type": OrderType.LIMIT, "time_in_force": time_in_force}
    run("buy", market_type, price=D(50000), quantity=D("0.001"))
    execution = run("buy", market_type, price=D(49000), **limits)
    assert [(order.status, order.code) for order in execution.orders] == [("cancelled", "not_filled_at_once")]
    assert waiting() == []
    assert [order.status for order in run("buy", market_type, price=D(50001), **limits).orders] == ["filled"]


def test_a_liquidation_is_an_order_with_its_events() -> None:
    """The exit that stood is gone with the position, the loss is realised, and nothing is owed."""
    run("buy", FUTURES, quantity=D(19), leverage=10, stop_loss=D(30000))
    see("44000")
    assert (held(), waiting()) == (0, [])
    closing = order_store()["close"]
    assert (closing.code, closing.status, closing.filled, closing.realized_profit) == (
        "liquidated",
        "filled",
        19,
        -100_000,
    )
    assert book().cash == {"USD": 0}
    assert events().count("position.changed") == 2
