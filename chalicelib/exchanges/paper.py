"""The paper exchange: orders fill against the prices it is told. Pure; its books are read and written by `paper_store`.

It stands in for real exchanges on demo accounts too: spot with cash and holdings, futures with one-way positions, margin and
leverage, market orders at once, limit and stop orders that wait for a price. It does not simulate liquidation or funding.

A market order trades at the market price moved by the account's slippage. A limit order that the market has already reached
trades like a market order but never worse than its limit; one that waited trades at its limit. Cash, margin and holdings that
a waiting order will need are set aside when it is placed, so it can always be carried out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from chalicelib.errors import NotDoable
from chalicelib.exchanges.accounts import Account
from chalicelib.exchanges.paper_money import BASIS_POINT, Fill, Rates, fill, round_money
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderState, OrderStatus, Side
from chalicelib.trading import MarketType, OrderType

DOLLARS = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD"})
"""Counted at par with each other: a paper account has one purse of them."""

_ZERO = Decimal(0)
_STOPS = (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)


@dataclass(slots=True)
class Holding:
    """So much of one asset, base units; `average_price` is what it cost, quote per base."""

    quantity: Decimal = _ZERO
    average_price: Decimal = _ZERO


@dataclass(slots=True)
class Position:
    """A futures position: negative quantities are short."""

    quote: str
    quantity: Decimal = _ZERO
    entry_price: Decimal = _ZERO
    leverage: int = 1

    @property
    def margin(self) -> Decimal:
        """Quote units the position ties up."""
        return abs(self.quantity) * self.entry_price / self.leverage


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open order.

    Attributes:
        reserved: Quote units set aside for it; on a spot sale it is holdings that are set aside, its quantity.
        triggered: A stop-limit order whose stop has been reached, and which now waits for its limit.
        reference: What the caller wants back when something happens to the order.
    """

    order: OrderRequest
    reserved: Decimal
    triggered: bool
    reference: dict[str, Any]
    placed_at: datetime

    @property
    def state(self) -> OrderState:
        """The order as the exchange reports it."""
        return _state(self.order, OrderStatus.OPEN)


@dataclass(slots=True)
class Book:
    """A paper account while the orders of one signal run.

    Attributes:
        cash: Wallet balances by currency; dollar currencies are kept together under the account's own.
        orders: How many orders the account has had.
        version: Of the ledger item that was read; 0 if there was none.
        changed: What has to be written: "asset#…", "position#…", "order#…".
        realised: What its fills have won since it was read, costs taken off, by client order id. In the account's currency: a fill in
            another is left out, since nobody says what it is worth.
    """

    account: Account
    cash: dict[str, Decimal]
    holdings: dict[str, Holding] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    orders: int = 0
    version: int = 0
    changed: set[str] = field(default_factory=set)
    last_fill: Fill | None = None
    realised: dict[str, Decimal] = field(default_factory=dict)

    def purse(self, quote: str) -> str:
        """The cash an instrument quoted in `quote` settles in."""
        return self.account.currency if quote in DOLLARS and self.account.currency in DOLLARS else quote

    def free(self, quote: str) -> Decimal:
        """Quote units that neither margin nor waiting orders hold."""
        purse = self.purse(quote)
        margin = sum((position.margin for position in self.positions.values() if self.purse(position.quote) == purse), _ZERO)
        reserved = sum((order.reserved for order in self.waiting.values() if self.purse(order.order.instrument.quote) == purse), _ZERO)
        return round_money(self.cash.get(purse, _ZERO) - margin - reserved, purse)

    def held(self, instrument: Instrument) -> Decimal:
        """On spot the holdings of the base asset that no waiting order will sell; on futures the position, negative if short."""
        if instrument.market_type is MarketType.FUTURES:
            return self.positions[instrument.name].quantity if instrument.name in self.positions else _ZERO
        return self._unoffered(instrument.base, pair=None)

    def exposure(self, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """What stands on one side of an instrument with the waiting orders that would add to it, and how many others are held."""
        held = {("futures", name): position.quantity for name, position in self.positions.items()}
        held |= {("spot", asset): holding.quantity for asset, holding in self.holdings.items()}
        direction = 1 if side is Side.BUY else -1
        total = max(held.get(_place_of(instrument), _ZERO) * direction, _ZERO)
        there = {place for place, quantity in held.items() if quantity}
        for waiting in self.waiting.values():
            order = waiting.order
            if not order.reduce_only and not (order.side is Side.SELL and order.instrument.market_type is MarketType.SPOT):
                there.add(_place_of(order.instrument))
                if _place_of(order.instrument) == _place_of(instrument) and order.side is side:
                    total += order.quantity
        return total, len(there - {_place_of(instrument)})

    def _unoffered(self, base: str, pair: str | None) -> Decimal:
        """Holdings that no waiting order will sell; of orders that cancel each other only one will, and those of `pair` do not count."""
        offered: dict[str, Decimal] = {}
        for client_order_id, waiting in self.waiting.items():
            if _sells_holdings(waiting.order, base) and (pair is None or waiting.order.pair != pair):
                key = waiting.order.pair or client_order_id
                offered[key] = max(offered.get(key, _ZERO), waiting.order.quantity)
        return self.holdings[base].quantity - sum(offered.values(), _ZERO) if base in self.holdings else _ZERO

    def place(self, order: OrderRequest, price: Decimal | None, reference: dict[str, Any], now: datetime) -> OrderState:
        """Places an order: fills it, or lets it wait.

        Args:
            price: The market price, quote per base; None if none is known, which a waiting limit order does not mind.

        Raises:
            NotDoable: `no_price`, `insufficient_funds`, `insufficient_holdings`, `would_take`; nothing changed.
        """
        if order.order_type is OrderType.MARKET or _reached(order, price):
            if price is None:
                raise NotDoable("no_price", symbol=order.instrument.name)
            if order.post_only:
                raise NotDoable("would_take", symbol=order.instrument.name)
            state = self._execute(order, price, taking=True)
        else:
            state = self._let_wait(order, price, reference, now)
        self.orders += 1
        return replace(state, exchange_order_id=str(self.orders))

    def see(self, instrument_name: str, price: Decimal) -> Iterator[tuple[Waiting, OrderState]]:
        """What a new market price does to the waiting orders of an instrument, oldest first, one at a time."""
        due = [order for order in self.waiting.values() if order.order.instrument.name == instrument_name]
        for waiting in sorted(due, key=lambda order: order.placed_at):
            if waiting.order.client_order_id not in self.waiting:
                continue  # the other of its pair has traded meanwhile
            others = self._paired(waiting.order)
            if state := self._tried(waiting, price):
                yield waiting, state
                if state.filled:
                    yield from [cancelled for other in others if (cancelled := self.cancel(other))]

    def cancel(self, client_order_id: str) -> tuple[Waiting, OrderState] | None:
        """Takes a waiting order back; None if it no longer waits."""
        waiting = self._end(client_order_id)
        return (waiting, _state(waiting.order, OrderStatus.CANCELLED)) if waiting else None

    def _paired(self, order: OrderRequest) -> list[str]:
        """The waiting orders that go as soon as this one trades."""
        if order.pair is None:
            return []
        return [name for name, other in self.waiting.items() if other.order.pair == order.pair and name != order.client_order_id]

    def _tried(self, waiting: Waiting, price: Decimal) -> OrderState | None:
        """The order's new state at this price; None if it goes on waiting as it was."""
        order = waiting.order
        if order.order_type in _STOPS and not waiting.triggered:
            if not _stop_reached(order, price):
                return None
            if order.order_type is OrderType.STOP_LIMIT and not _limit_reached(order, price):
                self.waiting[order.client_order_id] = replace(waiting, triggered=True)
                self.changed.add(f"order#{order.client_order_id}")
                return None
            taking = True
        elif _limit_reached(order, price):
            taking = False
        else:
            return None
        self._end(order.client_order_id)
        try:
            return self._execute(order, price if taking else order.price or price, taking=taking)
        except NotDoable:
            return _state(order, OrderStatus.CANCELLED)  # a stop whose price has run away from what was set aside for it

    def _let_wait(self, order: OrderRequest, price: Decimal | None, reference: dict[str, Any], now: datetime) -> OrderState:
        if order.order_type in _STOPS and order.trigger_above is None:
            if price is None or order.stop_price is None:
                raise NotDoable("no_price", symbol=order.instrument.name)
            order = replace(order, trigger_above=order.stop_price >= price)
        reserved = self._reserve(order)
        self.waiting[order.client_order_id] = Waiting(order, reserved, triggered=False, reference=reference, placed_at=now)
        self.changed.add(f"order#{order.client_order_id}")
        return _state(order, OrderStatus.OPEN)

    def _reserve(self, order: OrderRequest) -> Decimal:
        """What has to be set aside, quote units."""
        if order.reduce_only:
            return _ZERO
        if order.side is Side.SELL and order.instrument.market_type is MarketType.SPOT:
            self._need_holdings(order)
            return _ZERO
        price = order.price or order.stop_price or _ZERO
        needed = self._cost(order, price, order.quantity * price, self._commission(order.quantity * price, order))
        self._need_funds(order, needed)
        return needed

    def _execute(self, order: OrderRequest, price: Decimal, *, taking: bool) -> OrderState:
        """Fills an order at a price: with slippage if it takes, at the very price if it was waiting there."""
        quantity = self._fillable(order)
        if not quantity:
            return _state(order, OrderStatus.CANCELLED)
        done = self._fill(order, price, quantity, taking=taking)
        if order.instrument.market_type is MarketType.FUTURES:
            self._move_position(order, done)
        else:
            self._exchange(order, done)
        self.last_fill = done
        return replace(
            _state(order, OrderStatus.FILLED if done.quantity == order.quantity else OrderStatus.PARTIALLY_FILLED),
            filled=done.quantity,
            average_price=done.price,
            fee=done.commission,
            fee_currency=order.instrument.quote,
        )

    def _fill(self, order: OrderRequest, price: Decimal, quantity: Decimal, *, taking: bool) -> Fill:
        rates = self.account.rates if taking else Rates(_ZERO, self.account.commission_bps)
        buying, tick, currency = order.side is Side.BUY, order.instrument.price_tick, order.instrument.quote
        done = fill(buying=buying, price=price, quantity=quantity, rates=rates, tick=tick, currency=currency)
        if order.price is not None and order.order_type is not OrderType.MARKET and (done.price > order.price) is buying:
            at_limit = Rates(_ZERO, self.account.commission_bps)
            done = fill(buying=buying, price=order.price, quantity=quantity, rates=at_limit, tick=tick, currency=currency)
        return done

    def _fillable(self, order: OrderRequest) -> Decimal:
        """How much of the order trades: a reduce-only order at most what there is to reduce, and of that the account's fill rate."""
        quantity = order.quantity
        if order.reduce_only:
            held = self.held(order.instrument)
            reducible = held if order.side is Side.SELL else -held
            quantity = min(quantity, max(reducible, _ZERO))
        if self.account.fill_rate != 1:
            step = order.instrument.quantity_step
            quantity = (quantity * self.account.fill_rate / step).quantize(Decimal(1), ROUND_DOWN) * step
        return quantity

    def _exchange(self, order: OrderRequest, done: Fill) -> None:
        """Cash against an asset."""
        asset, purse, profit = order.instrument.base, self.purse(order.instrument.quote), _ZERO
        if order.side is Side.BUY:
            self._need_funds(order, done.total)
            holding = self.holdings.setdefault(asset, Holding())
            cost = holding.quantity * holding.average_price + done.value
            self.cash[purse] = self.cash.get(purse, _ZERO) - done.total
            holding.quantity += done.quantity
            holding.average_price = (cost / holding.quantity).quantize(Decimal("1E-12"))
        else:
            self._need_holdings(replace(order, quantity=done.quantity))
            self.holdings[asset].quantity -= done.quantity
            profit = done.quantity * (done.price - self.holdings[asset].average_price)
            self.cash[purse] = self.cash.get(purse, _ZERO) + done.total
        self.changed.add(f"asset#{asset}")
        self._realise(order, profit - done.commission)

    def _move_position(self, order: OrderRequest, done: Fill) -> None:
        """A futures fill: what is opposite closes and realises its profit, the rest opens and ties up margin."""
        name, quote = order.instrument.name, order.instrument.quote
        position = self.positions.get(name) or Position(quote)
        signed = done.quantity if order.side is Side.BUY else -done.quantity
        closing = min(abs(signed), abs(position.quantity)) if signed * position.quantity < 0 else _ZERO
        opening = abs(signed) - closing
        purse = self.purse(quote)
        if opening:
            leverage = order.leverage or position.leverage
            self._need_funds(order, opening * done.price / leverage + done.commission)
            before = abs(position.quantity) if not closing else _ZERO
            entry = (before * position.entry_price + opening * done.price) / (before + opening)
            profit = self._profit(position, closing, done.price)
            position = Position(quote, position.quantity + signed, entry.quantize(Decimal("1E-12")), leverage)
        else:
            profit = self._profit(position, closing, done.price)
            position = replace(position, quantity=position.quantity + signed)
        self.cash[purse] = self.cash.get(purse, _ZERO) + round_money(profit, purse) - done.commission
        self.positions[name] = position
        self.changed.add(f"position#{name}")
        self._realise(order, profit - done.commission)

    def _realise(self, order: OrderRequest, profit: Decimal) -> None:
        if self.purse(order.instrument.quote) == self.account.currency:
            self.realised[order.client_order_id] = self.realised.get(order.client_order_id, _ZERO) + profit

    @staticmethod
    def _profit(position: Position, closing: Decimal, price: Decimal) -> Decimal:
        direction = 1 if position.quantity > 0 else -1
        return direction * closing * (price - position.entry_price)

    def _cost(self, order: OrderRequest, price: Decimal, value: Decimal, commission: Decimal) -> Decimal:
        """Quote units an order needs: the value, or on futures the margin of what it opens, and the commission."""
        if order.instrument.market_type is MarketType.SPOT:
            return value + commission
        held = self.held(order.instrument)
        signed = order.quantity if order.side is Side.BUY else -order.quantity
        opening = max(abs(signed) - abs(held), _ZERO) if signed * held < 0 else abs(signed)
        return opening * price / (order.leverage or 1) + commission

    def _commission(self, value: Decimal, order: OrderRequest) -> Decimal:
        return round_money(value * self.account.commission_bps * BASIS_POINT, order.instrument.quote)

    def _need_funds(self, order: OrderRequest, needed: Decimal) -> None:
        available = self.free(order.instrument.quote)
        if needed > available:
            shown = round_money(needed, order.instrument.quote)
            raise NotDoable("insufficient_funds", needed=f"{shown:f}", available=_plain(available))

    def _need_holdings(self, order: OrderRequest) -> None:
        available = self._unoffered(order.instrument.base, order.pair)
        if order.quantity > available:
            raise NotDoable(
                "insufficient_holdings", needed=_plain(order.quantity), available=_plain(available), asset=order.instrument.base
            )

    def _end(self, client_order_id: str) -> Waiting | None:
        waiting = self.waiting.pop(client_order_id, None)
        if waiting:
            self.changed.add(f"order#{client_order_id}")
        return waiting


def _place_of(instrument: Instrument) -> tuple[str, str]:
    """What an instrument's trades move: a position, or on spot an asset, whatever it is quoted in."""
    futures = instrument.market_type is MarketType.FUTURES
    return instrument.market_type.value, instrument.name if futures else instrument.base


def _reached(order: OrderRequest, price: Decimal | None) -> bool:
    """Whether a limit order trades at once; one whose price nobody knows waits."""
    return price is not None and order.order_type is OrderType.LIMIT and _limit_reached(order, price)


def _limit_reached(order: OrderRequest, price: Decimal) -> bool:
    if order.price is None:
        return True
    return price <= order.price if order.side is Side.BUY else price >= order.price


def _stop_reached(order: OrderRequest, price: Decimal) -> bool:
    assert order.stop_price is not None
    return price >= order.stop_price if order.trigger_above else price <= order.stop_price


def _sells_holdings(order: OrderRequest, base: str) -> bool:
    return order.side is Side.SELL and order.instrument.market_type is MarketType.SPOT and order.instrument.base == base


def _state(order: OrderRequest, status: OrderStatus) -> OrderState:
    return OrderState(
        client_order_id=order.client_order_id,
        exchange_order_id=None,
        status=status,
        instrument_name=order.instrument.name,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        stop_price=order.stop_price,
        trigger=order.order_type in _STOPS,
    )


def _plain(amount: Decimal) -> str:
    """An amount as people write it: 10000, 0.5."""
    return f"{amount.normalize():f}"
