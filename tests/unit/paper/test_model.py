"""The paper exchange compared with a reference model in exact fractions.

The same fills, fees, balances, margins, profits and refusals.

`REFERENCE_SEQUENCES` in the environment sets how many random sequences run (400).
"""

import os
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.accounts.model import Account
from chalicelib.errors import Refused
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderState, Side
from chalicelib.paper.balances import Position
from chalicelib.paper.book import Book
from chalicelib.trading import MarketType, OrderType
from tests.reference.paper_account import Asked, Done, Model
from tests.reference.paper_account import Refused as ModelRefused

SEQUENCES = int(os.environ.get("REFERENCE_SEQUENCES", "400"))
NOW = datetime(2026, 1, 22, 15, 30, tzinfo=UTC)
D, F = Decimal, Fraction
SPOT, FUTURES = MarketType.SPOT, MarketType.FUTURES
INSTRUMENTS = (
    Instrument("BTCUSDT", "BTC", "USDT", SPOT, D("0.01"), D("0.00001")),
    Instrument("ETHUSDT", "ETH", "USDT", SPOT, D("0.01"), D("0.0001")),
    Instrument("ETHBTC", "ETH", "BTC", SPOT, D("0.00001"), D("0.0001")),
    Instrument("BTCUSDT", "BTC", "USDT", FUTURES, D("0.1"), D("0.001")),
    Instrument("ETHUSDT", "ETH", "USDT", FUTURES, D("0.01"), D("0.001")),
)
USUAL = {"BTCUSDT": D(50000), "ETHUSDT": D(2500), "ETHBTC": D("0.05")}
FACTORS = ("0.2", "0.7", "0.9", "0.98", "0.999", "1", "1.001", "1.02", "1.1", "1.5", "3")
QUANTITIES = ("0.00001", "0.0001", "0.001", "0.01", "0.05", "0.1", "0.2", "0.5", "1", "2", "7", "30")
PRICE = st.sampled_from(FACTORS).map(D)
ORDER = st.fixed_dictionaries(
    {
        "what": st.just("order"),
        "instrument": st.sampled_from(INSTRUMENTS),
        "side": st.sampled_from(list(Side)),
        "quantity": st.sampled_from(QUANTITIES).map(D),
        "kind": st.sampled_from([OrderType.MARKET, OrderType.MARKET, *OrderType]),
        "limit": PRICE,
        "stop": PRICE,
        "leverage": st.sampled_from([1, 2, 3, 10, 100]),
        "reduce": st.booleans(),
        "whole": st.booleans(),
        "post_only": st.sampled_from([False, False, False, True]),
        "wait": st.sampled_from([None, None, None, "GTC", "IOC", "FOK"]),
        "exits": st.sampled_from(
            [None, None, [("0.9", "1.1")], [("0.98", "1.02")], [("0.9", "1.02"), ("0.9", "1.1")]]
        ),
        "strategy": st.sampled_from(["", "a", "b"]),
    }
)
SEE = st.fixed_dictionaries({"what": st.just("see"), "symbol": st.sampled_from(list(USUAL)), "factor": PRICE})
CANCEL = st.fixed_dictionaries({"what": st.just("cancel"), "which": st.integers(0, 5)})
ACCOUNT = st.fixed_dictionaries(
    {
        "cash": st.sampled_from(["100", "1000", "10000", "100000"]).map(D),
        "slippage_bps": st.sampled_from(["0", "5", "37"]).map(D),
        "commission_bps": st.sampled_from(["0", "10", "7.5"]).map(D),
        "fill_rate": st.sampled_from(["1", "1", "1", "0.5", "0.37"]).map(D),
    }
)


class Both:
    """The product's book and the model, in parallel."""

    def __init__(self, cash: D, **rates: D) -> None:
        owned = Account(
            account_id="1",
            user_id="1",
            name="main",
            exchange="binance",
            kind="demo",
            currency="USDT",
            **rates,
        )
        self.book = Book(owned, {"USDT": cash})
        self.model = Model(F(cash), **{name: F(rate) for name, rate in rates.items()})
        self.model.ticks = {
            each.name: F(each.price_tick) for each in INSTRUMENTS if each.market_type is FUTURES
        }
        self.prices = dict(USUAL)
        self.names = (f"o{number}" for number in count())
        self.liquidations = count()
        self.saw: dict[str, tuple[Any, ...]] = {}

    def order(self, asked: dict[str, Any]) -> None:
        instrument, kind, price = asked["instrument"], asked["kind"], self.prices[asked["instrument"].name]
        futures = instrument.market_type is FUTURES
        quantity = asked["quantity"]
        if asked["whole"] and self.book.held(instrument):
            quantity = abs(self.book.held(instrument))
        limit = (
            _on_tick(price * asked["limit"], instrument)
            if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT)
            else None
        )
        stop = (
            _on_tick(price * asked["stop"], instrument)
            if kind in (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)
            else None
        )
        request = OrderRequest(
            next(self.names),
            instrument,
            asked["side"],
            kind,
            quantity,
            price=limit,
            stop_price=stop,
            reduce_only=asked["reduce"] and futures,
            post_only=asked["post_only"] and kind is OrderType.LIMIT,
            time_in_force=asked["wait"] if limit is not None else None,
            leverage=asked["leverage"] if futures else None,
        )
        filled = self.place(request, price, asked["strategy"])
        if filled and asked["exits"] and not request.reduce_only and (futures or request.side is Side.BUY):
            shares = asked["exits"]
            half = filled / 2 // instrument.quantity_step * instrument.quantity_step
            parts = [filled] if len(shares) == 1 or not half else [half, filled - half]
            for number, (part, exits) in enumerate(zip(parts, shares, strict=False)):
                self.protect(request, part, price, exits, asked["strategy"], number)

    def protect(
        self,
        entry: OrderRequest,
        filled: D,
        price: D,
        exits: tuple[str, str],
        strategy: str,
        number: int,
    ) -> None:
        """A pair of orders that leave a share of what the entry opened."""
        side = Side.SELL if entry.side is Side.BUY else Side.BUY
        for factor in exits:
            stop, futures = (
                _on_tick(price * D(factor), entry.instrument),
                entry.instrument.market_type is FUTURES,
            )
            name = next(self.names)
            exit_ = OrderRequest(
                name,
                entry.instrument,
                side,
                OrderType.STOP_MARKET,
                filled,
                stop_price=stop,
                reduce_only=futures,
            )
            group = f"{entry.client_order_id}{number or ''}"
            self.place(OrderRequest(**{**_fields(exit_), "oco_group": group}), price, strategy)
        self.book.end_exits(entry.instrument)
        self.model.trim(_asked(entry, strategy))
        self.ended({})

    def place(self, request: OrderRequest, price: D, strategy: str) -> D | None:
        """Places an order with both.

        What one refuses, the other must refuse alike, and nothing may have changed.
        """
        before = self.state()
        refused = expected = None
        try:
            state = self.book.place(request, price, {"group_name": strategy or None}, NOW)
        except Refused as fault:
            refused = fault.code
        try:
            done = self.model.place(_asked(request, strategy), F(price))
        except ModelRefused as fault:
            expected = str(fault)
        assert refused == expected, (request, refused, expected)
        if refused:
            after = self.state()
            assert before[:-1] == after[:-1], "a refusal changed something"
            return None
        self.compare(request.client_order_id, state, done)
        self.ended({})
        return state.filled

    def on_price(self, symbol: str, factor: D) -> None:
        """A new price fills, cancels and liquidates the same in both."""
        price = self.prices[symbol] = USUAL[symbol] * factor
        happened = {
            waiting.order.client_order_id: state for waiting, state in self.book.on_price(symbol, price)
        }
        happened |= {order.client_order_id: state for order, state in self.book.liquidate(self.closing)}
        self.model.on_price(symbol, F(price))
        self.ended(happened)

    def ended(self, happened: dict[str, OrderState]) -> None:
        """Orders that ended since the last look are the same, for the same reasons."""
        happened |= {
            waiting.order.client_order_id: state
            for waiting, state in self.book.ended
            if state.status == "cancelled"
        }
        assert len(happened) == len(self.model.happened), (happened, self.model.happened)
        liquidated = [done for name, done in self.model.happened.items() if name.startswith("liquidation")]
        for name, state in happened.items():
            expected = liquidated.pop(0) if name.startswith("liquidation") else self.model.happened[name]
            self.compare(name, state, expected)
        self.book.ended, self.model.happened = [], {}

    def closing(self, name: str, position: Position, strategy: str, quantity: D) -> OrderRequest:
        instrument = next(each for each in INSTRUMENTS if each.name == name and each.market_type is FUTURES)
        side = Side.SELL if position.quantity > 0 else Side.BUY
        return OrderRequest(
            f"liquidation{next(self.liquidations)}",
            instrument,
            side,
            OrderType.MARKET,
            quantity,
            reduce_only=True,
        )

    def cancel(self, which: int) -> None:
        waiting = sorted(self.book.waiting)
        if waiting:
            name = waiting[which % len(waiting)]
            assert (self.book.cancel(name) is not None) is self.model.cancel(name)
            self.model.happened = {}

    def compare(self, name: str, state: OrderState, done: Done) -> None:
        reason = self.book.reasons.pop(name, None)
        found = (
            state.status.value,
            F(state.filled),
            _fraction(state.average_price),
            _fraction(state.fee),
            reason.code if reason else None,
        )
        assert found == (done.status, done.filled, done.price, done.fee, done.code), name
        if state.filled and not name.startswith("liquidation"):
            assert F(self.book.realised[name]) == self.model.realised[name], name

    def state(self) -> tuple[Any, ...]:
        book = self.book
        coins = {
            name: (each.quantity, each.average_price, dict(each.owned))
            for name, each in book.holdings.items()
            if each.quantity
        }
        positions = {
            name: (each.quantity, each.entry_price, each.leverage)
            for name, each in book.positions.items()
            if each.quantity
        }
        return dict(book.cash), coins, positions, set(book.waiting), book.orders, dict(book.prices)

    def check(self) -> None:
        """Everything that can be seen is the same, and what must always hold does."""
        book, model = self.book, self.model
        assert F(book.cash["USDT"]) == model.cash
        assert book.cash["USDT"] >= 0
        for asset in ("USDT", "BTC", "ETH"):
            assert F(book.free(asset)) == model.free(asset), asset
            assert 0 <= book.free(asset) <= book.balance(asset)
            assert F(book.balance(asset)) == model.balance(asset)
        for name, coin in model.coins.items():
            assert not coin.quantity or _near(book.holdings[name].average_price, coin.cost / coin.quantity)
        found = {name: each for name, each in book.positions.items() if each.quantity}
        assert found.keys() == model.open.keys()
        for name, position in found.items():
            expected = model.open[name]
            assert (F(position.quantity), position.leverage) == (expected.quantity, expected.leverage)
            assert _near(position.entry_price, expected.entry)
            assert _near(position.margin, expected.margin)
            assert _near(position.profit(book.mark(name)), expected.gain(model.mark(name)))
        resting = {order.name: order for order in model.resting}
        assert book.waiting.keys() == resting.keys()
        for name, waiting in book.waiting.items():
            assert F(waiting.order.quantity) == resting[name].quantity
            assert _near(waiting.reserved, resting[name].reserved)
            if waiting.order.reduce_only:
                assert waiting.order.instrument.name in found, "an exit outlived its position"
            if waiting.order.oco_group and not waiting.order.reduce_only:
                assert book.balance(waiting.order.instrument.base), "an exit outlived its holding"


def _on_tick(price: D, instrument: Instrument) -> D:
    return max(
        (price / instrument.price_tick).to_integral_value() * instrument.price_tick, instrument.price_tick
    )


def _fields(order: OrderRequest) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__dataclass_fields__}


def _fraction(value: D | None) -> F | None:
    return None if value is None else F(value)


def _near(value: D, expected: F) -> bool:
    """Equal, as far as 38 digits go."""
    return abs(F(value) - expected) <= max(abs(expected), F(1)) * F(1, 10**25)


def _asked(order: OrderRequest, strategy: str) -> Asked:
    instrument = order.instrument
    return Asked(
        order.client_order_id,
        instrument.base,
        instrument.quote,
        instrument.market_type is FUTURES,
        order.side is Side.BUY,
        order.order_type.value,
        F(order.quantity),
        F(instrument.price_tick),
        F(instrument.quantity_step),
        _fraction(order.price),
        _fraction(order.stop_price),
        order.trigger_above,
        order.leverage or 1,
        order.reduce_only,
        order.post_only,
        order.time_in_force if order.time_in_force in ("IOC", "FOK") else None,
        order.oco_group,
        strategy,
    )


@settings(max_examples=SEQUENCES, deadline=None, suppress_health_check=list(HealthCheck))
@given(ACCOUNT, st.lists(st.one_of(ORDER, ORDER, SEE, SEE, CANCEL), max_size=25))
def test_the_product_equals_the_model(account: dict[str, D], steps: list[dict[str, Any]]) -> None:
    """Random orders, prices and cancels.

    Every fill, fee, balance, margin, average, profit and refusal is the model's.
    """
    both = Both(**account)
    for step in steps:
        match step["what"]:
            case "order":
                both.order(step)
            case "see":
                both.on_price(step["symbol"], step["factor"])
            case "cancel":
                both.cancel(step["which"])
        both.check()
