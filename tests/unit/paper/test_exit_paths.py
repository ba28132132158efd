"""Exits on random price paths, compared with a plain reference model in fractions.

`EXIT_PATHS` in the environment sets how many random paths run (200).
"""

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.accounts.model import Account
from chalicelib.exchanges.protocol import Side
from chalicelib.execution import plan_orders
from chalicelib.execution.dry_run import PaperDryRun
from chalicelib.execution.reference_price import PriceSource
from chalicelib.orders.models import Instruction, PriceUpdate
from chalicelib.paper.book import Book
from chalicelib.paper.moving_stops import is_take_profit
from chalicelib.trading import Action, BreakEven, ExitLevel, MarketType, Symbol, TakeProfit, TrailingStop
from tests.reference.exit_path import ExitPath

PATHS = int(os.environ.get("EXIT_PATHS", "200"))
D, F = Decimal, Fraction
NOW = datetime(2026, 1, 22, 15, 30, tzinfo=UTC)
BTC = Symbol(raw="BTCUSDT", base="BTC", quote="USDT")
CASH, ENTRY = D(1_000_000), D(50_000)

LEVEL = st.one_of(
    st.integers(1, 60).map(lambda tenths: ExitLevel(percent=D(tenths) / 10)),
    st.integers(5, 3000).map(lambda distance: ExitLevel(distance=D(distance) + D("0.003"))),
)
TRAILING = st.builds(
    lambda level, activation: TrailingStop(
        percent=level.percent, distance=level.distance, activation=activation
    ),
    LEVEL,
    st.one_of(st.none(), LEVEL),
)
BREAK_EVEN = st.one_of(
    st.integers(1, 6).map(lambda number: BreakEven(take_profits=number)),
    st.integers(1, 50).map(lambda tenths: BreakEven(percent=D(tenths) / 10)),
)
MOVE = st.tuples(
    st.integers(-400, 400),
    st.one_of(st.none(), st.integers(1, 300)),
    st.one_of(st.none(), st.integers(1, 300)),
)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """The exits of one signal."""
    weights = draw(st.lists(st.integers(1, 10), max_size=6))
    total = D(draw(st.sampled_from([100, 100, 60])))
    cut = [(total * weight / sum(weights)).quantize(D("0.1"), "ROUND_DOWN") for weight in weights]
    if weights:
        cut[-1] += total - sum(cut)
    targets = tuple(TakeProfit(**draw(LEVEL).model_dump(), share=share) for share in cut)
    trailing = draw(st.one_of(st.none(), TRAILING))
    stop = draw(LEVEL if trailing and trailing.activation else st.one_of(st.none(), LEVEL))
    moving = stop is not None or trailing is not None
    return {
        "stop_loss": stop,
        "take_profits": targets,
        "trailing_stop": trailing,
        "break_even_after": draw(st.one_of(st.none(), BREAK_EVEN)) if moving else None,
    }


class Permit:
    """A risk check that permits everything."""

    def opening(self) -> None: ...
    def order(self, order: Any, price: D) -> None: ...
    def opened(self) -> None: ...


class Run:
    """The product's book and the model, on the same path."""

    def __init__(self, side: Side, market_type: MarketType, quantity: D, exits: dict[str, Any]) -> None:
        account = Account(
            account_id="1",
            user_id="1",
            name="main",
            exchange="binance",
            kind="demo",
            currency="USDT",
            slippage_bps=D(0),
            commission_bps=D(0),
        )
        self.book = Book(account, {"USDT": CASH})
        instruction = Instruction(
            signal_id="s",
            user_id="1",
            account_id="1",
            exchange="binance",
            variant="group",
            action=Action(side.value),
            symbol=BTC,
            market_type=market_type,
            quantity=quantity,
            received_at=NOW,
            max_age_s=60,
            single_account=False,
            **exits,
        )
        self.client = PaperDryRun(self.book, instruction, {"BTCUSDT": ENTRY}, NOW, PriceSource.LIVE)
        outcome = plan_orders.plan_orders(instruction, self.client, Permit())
        assert not outcome.refused, outcome.refused
        [entry] = outcome.orders
        assert entry.average_price == ENTRY
        instrument = self.client.instrument_used
        assert instrument is not None
        self.market_type, self.sign = market_type, 1 if side is Side.BUY else -1
        self.bought = CASH - ENTRY * quantity if market_type is MarketType.SPOT else CASH
        trailing, break_even = exits["trailing_stop"], exits["break_even_after"] or BreakEven()
        self.model = ExitPath(
            F(ENTRY),
            F(quantity),
            F(instrument.price_tick),
            F(instrument.quantity_step),
            side is Side.BUY,
            _distance(exits["stop_loss"]),
            [(_distance(each)(F(ENTRY)), F(each.share)) for each in exits["take_profits"]],
            _distance(trailing and trailing.level),
            _distance(trailing.activation)(F(ENTRY)) if trailing and trailing.activation else None,
            F(ENTRY) * F(break_even.percent) / 100 if break_even.percent else None,
            break_even.take_profits,
        )
        self.times = count(1)
        self.stops: dict[str, D] = {}

    def see(self, last: D, high: D | None, low: D | None) -> None:
        at = NOW + timedelta(seconds=10 * next(self.times))
        update = PriceUpdate(
            update_id=str(at),
            account_id="1",
            exchange="binance",
            symbol="BTCUSDT",
            price=last,
            at=at,
            market_type=self.market_type,
            high=high,
            low=low,
            since=at - timedelta(seconds=5),
        )
        self.client.on_price_update(update)
        self.model.see(F(last), None if high is None else F(high), None if low is None else F(low))
        self.compare()

    def compare(self) -> None:
        held = self.book.held(self.client.instrument_used)
        if self.market_type is MarketType.SPOT:
            held = self.book.balance("BTC")
        assert F(held) * self.sign == self.model.open
        waiting = [each.order for each in self.book.waiting.values()]
        take_profits = [order for order in waiting if is_take_profit(order)]
        stops = [order for order in waiting if not is_take_profit(order)]
        for orders in (take_profits, stops):
            assert sum(order.quantity for order in orders) <= abs(held)
        if not held:
            assert not waiting
        for order in stops:
            before = self.stops.get(order.client_order_id, order.stop_price)
            assert (order.stop_price - before) * self.sign >= 0
            self.stops[order.client_order_id] = order.stop_price
            assert F(order.stop_price) == self.model.stop_price
        assert {F(order.stop_price) for order in take_profits} == {
            target for target, _ in self.model.shares if target is not None
        }
        if self.market_type is MarketType.SPOT:
            brought = sum(round(price * quantity * 100) * F(1, 100) for price, quantity in self.model.fills)
        else:
            brought = sum(self.model.proceeds(), F(0))
        assert F(self.book.cash["USDT"]) == F(self.bought) + brought
        for waiting_order in self.book.waiting.values():
            assert D(waiting_order.reference["stop_price"]) == waiting_order.order.stop_price


def _distance(level: ExitLevel | None) -> Any:
    if level is None:
        return None
    if level.distance is not None:
        return lambda price: F(level.distance)
    return lambda price: price * F(level.percent) / 100


@settings(max_examples=PATHS, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    side=st.sampled_from(list(Side)),
    spot=st.booleans(),
    steps=st.integers(50, 3000),
    exits=plans(),
    moves=st.lists(MOVE, min_size=1, max_size=25),
)
def test_exits_follow_the_path_as_the_model_does(
    side: Side, spot: bool, steps: int, exits: dict[str, Any], moves: list[tuple[int, int | None, int | None]]
) -> None:
    """After each price: position, stop, take-profits and money are the model's.

    The stop never moves against the position, exits never exceed the position, and nothing is left open after
    the position is gone.
    """
    market_type = MarketType.SPOT if spot and side is Side.BUY else MarketType.FUTURES
    run = Run(side, market_type, steps * D("0.001"), exits)
    run.compare()
    price = ENTRY
    for move, above, below in moves:
        price += D(move) * 3 + D("0.07")
        run.see(
            price,
            None if above is None else price + above * 4,
            None if below is None else price - below * 4,
        )
