"""What orders at an exchange realised.

Exact where the account's own fills explain the position, unknown where they do not.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.exchanges.protocol import Instrument, OrderStatus, Side
from chalicelib.orders.models import Order
from chalicelib.portfolio import cost_basis
from chalicelib.portfolio.cost_basis import CostBasisBook
from chalicelib.risk import update_rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.trading import MarketType, OrderType
from simulator.fixtures import VENUES
from tests.unit.execution.conftest import IDS, Live

D = Decimal
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Books:
    """Books of one position of an account, without a table behind them."""

    def __init__(self, market_type: MarketType = MarketType.FUTURES) -> None:
        self.instrument = Instrument(
            "BTCUSDT", "BTC", "USDT", market_type, price_tick=D("0.1"), quantity_step=D("0.000001")
        )
        self.item: aws.Item | None = None
        self.signals = 0

    def book(
        self,
        side: str,
        quantity: str,
        price: str,
        owned: str | None = None,
        at: datetime | None = None,
        **more: Any,
    ) -> D | None:
        """Books an order; `at` is when it traded, of one that a follow-up has found."""
        self.signals += 1
        given: dict[str, Any] = {
            "fee": D(0),
            "fee_currency": "USDT",
            "created_at": NOW,
            "signal_id": str(self.signals),
            **more,
        }
        order = Order(
            account_id="1",
            user_id="1",
            leg="0",
            number=1,
            client_order_id="c",
            exchange="bybit",
            market_type=self.instrument.market_type,
            symbol="BTCUSDT",
            base="BTC",
            side=Side(side),
            order_type=OrderType.MARKET,
            status=OrderStatus.FILLED,
            quantity=D(quantity),
            filled=D(quantity),
            average_price=D(price),
            basis={"owned": D(owned)} if owned is not None else {},
            updated_at=NOW,
            **given,
        )
        name = cost_basis.key("1", order.market_type, "BTCUSDT", None)[1]["item"]
        booked, [write, *_] = CostBasisBook({name: self.item}).booked(order, self.instrument, traded_at=at)
        self.item = aws.from_dynamodb(write["Put"]["Item"])
        assert booked.booked
        return booked.realized_profit


on_tables = pytest.mark.usefixtures("emulated")


@on_tables
def test_a_position_is_averaged_reduced_and_turned() -> None:
    """Two entries average; what reduces is measured against that.

    What turns the position opens at its own price.
    """
    books = Books()
    assert books.book("buy", "1", "100", "0") == 0
    assert books.book("buy", "3", "200", "1") == 0
    assert books.book("sell", "1", "275", "4") == 100
    assert books.book("sell", "5", "175", "3") == 0
    assert books.book("buy", "2", "150", "-2") == 50


@on_tables
def test_fees_are_taken_off_where_their_worth_is_known() -> None:
    """In quote; in base at the price of the fill; in a third currency unknown."""
    books = Books(MarketType.SPOT)
    assert books.book("buy", "1", "100", "0", fee=D("0.01"), fee_currency="BTC") == -1
    assert books.book("sell", "0.5", "200", "0.99", fee=D(2), fee_currency="USDT") == 48
    assert books.book("sell", "0.1", "200", "0.49", fee=D("0.001"), fee_currency="BNB") is None
    assert books.book("sell", "0.39", "200", "0.39") == 39


@on_tables
def test_what_is_older_than_the_books_is_unknown_until_it_is_gone() -> None:
    """A position from before our fills: realised PnL is None.

    Once flat, PnL is known again.
    """
    books = Books()
    assert books.book("buy", "1", "100", "5") is None
    assert books.book("sell", "6", "100", "6", reduce_only=True) is None
    assert books.book("buy", "1", "100", "0") == 0
    assert books.book("sell", "1", "90", "1", reduce_only=True) == -10


@on_tables
def test_trades_by_hand_are_noticed() -> None:
    """The exchange shows another position than our records: from then on the entry price is unknown."""
    books = Books()
    books.book("buy", "1", "100", "0")
    assert books.book("sell", "1", "120", "3", reduce_only=True) is None
    books.book("sell", "2", "120", "2", reduce_only=True)
    books.book("buy", "1", "100", "0")
    assert books.book("buy", "1", "100", "0") == 0  # the first was closed by hand
    assert books.book("sell", "1", "130", "1", reduce_only=True) == 30


@on_tables
def test_an_order_found_late_counts_if_it_traded_after_the_last_look() -> None:
    """A limit order from before.

    Only some seconds later is it certain that it filled after the position was read from the exchange.
    """
    for late, profit in ((timedelta(minutes=5), D(10)), (timedelta(seconds=1), None)):
        books = Books()
        books.book("sell", "2", "100", "2", reduce_only=True)  # an old position, closed
        books.book("buy", "1", "100", "0", created_at=NOW + timedelta(minutes=1))
        found = books.book(
            "sell", "1", "110", at=NOW + timedelta(minutes=1) + late, created_at=NOW, reduce_only=True
        )
        assert found == profit


@on_tables
def test_closing_more_than_the_books_have_is_unknown() -> None:
    """A sale without a matching purchase."""
    books = Books(MarketType.SPOT)
    books.book("buy", "1", "100", "0")
    assert books.book("sell", "2", "120") is None


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize("place", VENUES, ids=IDS)
def test_what_was_realised_is_what_the_exchange_paid(open_account, place: tuple[str, MarketType]) -> None:
    """In, more in, half out, all out at other prices.

    The sum of what the orders realised is the change of the balance.
    """
    live: Live = open_account(*place, balances={"spot": {"USDT": "100000"}, "futures": {"USDT": "100000"}})
    for price, action, quantity in (
        ("50000", "buy", "0.2"),
        ("52000", "buy", "0.1"),
        ("51000", "sell", "0.15"),
    ):
        live.simulator.price("BTCUSDT", price)
        assert not live.run(action, quantity=D(quantity)).refused
    live.simulator.price("BTCUSDT", "55000")
    live.run("close")
    orders = live.order_store()
    realized = sum(order.realized_profit for order in orders)
    change = D(live.holdings["balances"][live.market_type.value]["USDT"]) - 100000
    dust = D("0.00001") * 55000 if live.market_type is MarketType.SPOT else 0
    assert abs(realized - change) <= dust
    assert orders[2].realized_profit > 0
    told = [aws.from_dynamodb(item) for item in aws.client("dynamodb").scan(TableName="test-outbox")["Items"]]
    assert len([event for event in told if event["payload"].get("realized_profit") is not None]) == 4


@pytest.mark.usefixtures("unlimited")
def test_an_exit_realises_and_halts(open_account) -> None:
    """The stop-loss fires: the reconciliation records it, and the loss halts the user."""
    live: Live = open_account("bybit", MarketType.FUTURES)
    update_rules.update_rules(Switch(Scope.USER, "1", "1"), {"max_daily_loss": D(400)}, by="1", admin=False)
    live.run("buy", stop_loss=D(45000))
    live.simulator.price("BTCUSDT", "44900")
    live.follow()
    stop = live.order_store()[1]
    assert stop.realized_profit is not None
    assert stop.realized_profit < -500
    assert [leg.code for leg in live.run("buy").refused] == ["halted"]


@pytest.mark.usefixtures("unlimited")
def test_a_loss_counts_with_the_order_that_made_it(open_account) -> None:
    """A closing order's loss halts in the transaction that settles its signal, before the equity is read."""
    live: Live = open_account("okx", MarketType.FUTURES)
    update_rules.update_rules(Switch(Scope.USER, "1", "1"), {"max_daily_loss": D(400)}, by="1", admin=False)
    live.run("buy")
    live.simulator.price("BTCUSDT", "45000")
    live.run("close")
    assert [leg.code for leg in live.run("buy").refused] == ["halted"]
