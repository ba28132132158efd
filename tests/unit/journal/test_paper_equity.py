"""Random orders on a simulated account: what the trades earned is what the account gained."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.errors import Refused
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Side
from chalicelib.execution.paper import PaperExecution
from chalicelib.journal import models
from chalicelib.journal.recount import CENT, compare
from chalicelib.journal.round_trips import Lot
from chalicelib.orders.models import Instruction, Order
from chalicelib.paper.book import Book
from chalicelib.trading import Action, ExitLevel, ExitPlan, MarketType, OrderType

D = Decimal
NOW = datetime(2026, 1, 22, 15, 30, tzinfo=UTC)
SPOT, FUTURES = MarketType.SPOT, MarketType.FUTURES
CASH = D(10_000_000)
INSTRUMENTS = (
    Instrument("BTCUSDT", "BTC", "USDT", SPOT, D("0.01"), D("0.00001")),
    Instrument("BTCUSDC", "BTC", "USDC", SPOT, D("0.01"), D("0.00001")),
    Instrument("ETHBTC", "ETH", "BTC", SPOT, D("0.00001"), D("0.0001")),
    Instrument("BTCUSDT", "BTC", "USDT", FUTURES, D("0.1"), D("0.001")),
    Instrument("ETHUSDT", "ETH", "USDT", FUTURES, D("0.01"), D("0.001")),
)
PRICES = {"BTCUSDT": D(50000), "BTCUSDC": D(50000), "ETHUSDT": D(2500), "ETHBTC": D("0.05")}
STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "instrument": st.sampled_from(INSTRUMENTS),
            "side": st.sampled_from(list(Side)),
            "quantity": st.sampled_from(["0.001", "0.1", "0.333", "1", "3"]).map(D),
            "whole": st.booleans(),
            "strategy": st.sampled_from(["", "a", "b"]),
            "factor": st.sampled_from(["0.97", "0.999", "1", "1.0013", "1.04"]).map(D),
            "exits": st.booleans(),
        }
    ),
    max_size=30,
)


class Trader:
    """A simulated account whose signals come one after the other."""

    def __init__(self) -> None:
        account = Account(
            account_id="1", user_id="1", name="main", exchange="binance", kind="demo", currency="USDT"
        )
        self.book = Book(account, {"USDT": CASH})
        self.prices = dict(PRICES)
        self.trades: list[models.Trade] = []
        self.orders: dict[str, Order] = {}
        self.ids = count()

    def step(self, asked: dict[str, Any]) -> None:
        """Moves a price, then sends an order at market."""
        instrument, number = asked["instrument"], next(self.ids)
        self.prices[instrument.name] *= asked["factor"]
        self.prices["BTCUSDC"] = self.prices["BTCUSDT"]
        price = self.prices[instrument.name]
        client = self.client(number, asked["strategy"])
        client.on_price(instrument.name, price)
        held = self.book.held(instrument)
        quantity = abs(held) if asked["whole"] and held else asked["quantity"]
        exits = asked["exits"] and instrument.market_type is FUTURES
        request = OrderRequest(
            f"c{number}",
            instrument,
            asked["side"],
            OrderType.MARKET,
            quantity,
            leverage=2,
            exits=ExitPlan(stop_loss=ExitLevel(percent=D(2))) if exits else None,
        )
        with suppress(Refused):
            client.protect(client.place("0", request))
        self.trades += client._journal.trades
        for order in (*client.placed, *client.changed):
            before = self.orders.get(order.order_id)
            self.orders[order.order_id] = order if order.filled or before is None else before
        assert not self.book.fills, "every fill is booked"

    def client(self, number: int, strategy: str) -> PaperExecution:
        instruction = Instruction(
            signal_id=f"s{number}",
            user_id="1",
            account_id="1",
            exchange="binance",
            variant="group",
            action=Action.BUY,
            group_name=strategy or None,
            received_at=NOW,
            max_age_s=60,
            single_account=True,
        )
        return PaperExecution(self.book, instruction, dict(self.prices), NOW + timedelta(minutes=number))

    def open_result(self) -> D:
        """What the open lots have earned and would bring at the last prices."""
        total = D(0)
        for asset, holding in self.book.holdings.items():
            price = self.book.rate(asset) or D(0)
            total += sum((_worth(lot, price) for lot in _lots(holding.lots)), D(0))
        for name, position in self.book.positions.items():
            total += sum((_worth(lot, self.book.mark(name)) for lot in _lots(position.lots)), D(0))
        return total

    def equity(self) -> D:
        holdings = sum(
            (each.quantity * (self.book.rate(name) or 0) for name, each in self.book.holdings.items()), D(0)
        )
        positions = sum(
            (each.profit(self.book.mark(name)) for name, each in self.book.positions.items()), D(0)
        )
        return self.book.cash["USDT"] + holdings + positions


def _lots(stored: list[dict[str, Any]]) -> list[Lot]:
    """The lots as they come back from the store."""
    return models.read_lots(aws.from_dynamodb(aws.to_dynamodb({"lots": stored}))["lots"])


def _worth(lot: Lot, price: D) -> D:
    gained = lot.side * (lot.exit_value + lot.left * price - lot.entry_value)
    return gained + lot.rounding - lot.fees


@given(STEPS)
def test_results_are_the_change_of_equity(steps: list[dict[str, Any]]) -> None:
    """Closed trades and open lots together, over spot, futures, cross pairs, stops and several strategies."""
    trader = Trader()
    for asked in steps:
        trader.step(asked)
    results = sum((trade.net_profit for trade in trader.trades), D(0))
    assert abs(trader.equity() - CASH - results - trader.open_result()) < D("1e-6")
    assert len({trade.trade_id for trade in trader.trades}) == len(trader.trades)
    found = compare(trader.orders.values(), trader.trades)
    assert found.differences == []


@given(STEPS)
def test_a_recount_of_the_orders_gives_the_trades(steps: list[dict[str, Any]]) -> None:
    """All of them, where no cross pair was traded. A missing, an altered and an invented trade show."""
    trader = Trader()
    for asked in steps:
        if asked["instrument"].name != "ETHBTC":
            trader.step(asked)
    found = compare(trader.orders.values(), trader.trades)
    assert (found.differences, found.compared, found.not_compared) == ([], len(trader.trades), 0)
    for index, trade in enumerate(trader.trades[:1]):
        others = [each for place, each in enumerate(trader.trades) if place != index]
        altered = trade.model_copy(update={"net_profit": trade.net_profit + CENT})
        [missing] = compare(trader.orders.values(), others).differences
        [wrong] = compare(trader.orders.values(), [altered, *others]).differences
        assert (missing.stored, wrong.field) == (None, "net_profit")
        invented = trade.model_copy(update={"trade_id": "x"})
        assert len(compare(trader.orders.values(), [invented, *trader.trades]).differences) == 1


def test_results_of_a_flat_account_are_its_gain_to_the_cent() -> None:
    """Money is rounded with each fill, and so are the trades."""
    trader = Trader()
    way = [("buy", "0.333"), ("buy", "0.1"), ("sell", "0.001"), ("sell", "3"), ("buy", "1")]
    for market in (INSTRUMENTS[0], INSTRUMENTS[3]):
        for index, (side, quantity) in enumerate(way):
            trader.step(
                {
                    "instrument": market,
                    "side": Side(side),
                    "quantity": D(quantity),
                    "whole": index >= 3,
                    "strategy": "",
                    "factor": D("1.0013"),
                    "exits": False,
                }
            )
            if index == 3 and market.market_type is SPOT:
                break
    trader.step(
        {
            "instrument": INSTRUMENTS[3],
            "side": Side.SELL,
            "quantity": D(9),
            "whole": True,
            "strategy": "",
            "factor": D("0.97"),
            "exits": False,
        }
    )
    assert not any(position.quantity for position in trader.book.positions.values())
    assert sum((trade.net_profit for trade in trader.trades), D(0)) == trader.book.cash["USDT"] - CASH
    assert len(trader.trades) == 3
