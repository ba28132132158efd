"""What the order queues carry and the ledger keeps. Immutable, no I/O."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from chalicelib import request_limits
from chalicelib.exchanges.protocol import OrderStatus, Side
from chalicelib.exchanges.rate_limiter import Delay
from chalicelib.exchanges.wire import rounded
from chalicelib.orders.legs import whole
from chalicelib.trading import Action, Leg, MarketType, OrderType, PositionSide, Symbol

CLOSE_INCOMPLETE = "close_incomplete"
"""The code of a close that has left something of the position."""


class Instruction(BaseModel):
    """One signal on one account.

    The message in an order queue, with everything needed to size and place its orders.

    Attributes:
        variant: Which webhook it came by; the answer's form depends on it.
        quantity: Base units, where the sender says how much.
        quote_amount: Quote units, where the owner's settings say how much; on futures leverage is in it
            already.
        position_percent: Percent of the position, where the sender sizes the order by that.
        legs: Where percent says how much: one order each. Of a close a size is the most that is closed;
            without one all of it is.
        target_size: Base units that the position shall have at most after an order sized by `quantity`; None
            sets no bound.
        shrinks: A `long` or `short` that leaves its position smaller: it reduces.
        came_late: An exit that the entry after it has overtaken; it does nothing.
        overtaken_by: The signal that has probably overtaken it: it has, if it closed the account's opposite
            position.
        price: Market price as the sender saw it, or the limit price where `order_type` says so.
        take_profit: Where to leave what the order opens, quote per base; likewise `stop_loss`. An order that
            opens is never placed without them.
        risk_percent: What may be lost at the stop-loss, percent of the free quote balance; the order is no
            larger than that.
        position_side: Which position of an account in hedge mode is meant; None is one-way mode.
        close_same_side: The order takes something off a position on the other side; should there be one on
            its own side instead, that one is closed.
        weight: The account's share of each percentage, percent.
        group_name: The strategy its orders belong to.
        single_account: The signal goes to this account only, so settling it settles the signal.
        simulated: The account has no exchange, as far as acceptance knows, so its book is read first.
        entries_only: A cancel spares what closes or reduces, because a halt is its reason.
        max_price_deviation_percent: How far the price of a market order may be from the market; 0 allows any
            price.
        max_age_s: Older than this, it opens nothing any more.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    signal_id: str
    user_id: str
    account_id: str
    exchange: str
    variant: str
    action: Action
    symbol: Symbol | None = None
    market_type: MarketType | None = None
    order_type: OrderType = OrderType.MARKET
    quantity: Decimal | None = None
    quote_amount: Decimal | None = None
    position_percent: Decimal | None = None
    target_size: Decimal | None = None
    shrinks: bool = False
    came_late: bool = False
    overtaken_by: str | None = None
    legs: tuple[Leg, ...] = ()
    price: Decimal | None = None
    stop_price: Decimal | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    risk_percent: Decimal | None = None
    position_side: PositionSide | None = None
    close_same_side: bool = False
    reduce_only: bool = False
    post_only: bool = False
    time_in_force: str | None = None
    leverage: int = 1
    margin_mode: str = "cross"
    weight: Decimal = Decimal(100)
    simulated: bool = False
    entries_only: bool = False
    batch: bool = False
    group_name: str | None = None
    received_at: datetime
    sent_at: datetime | None = None
    max_price_deviation_percent: Decimal = request_limits.PRICE_DEVIATION_PERCENT
    max_age_s: int
    single_account: bool

    @property
    def market_price(self) -> Decimal | None:
        """The market price as the sender saw it, quote per base.

        None for an order whose `price` is its limit.

        It sizes orders on simulated accounts without a live price only, see `reference_price`.
        """
        return self.price if self.order_type in (OrderType.MARKET, OrderType.STOP_MARKET) else None


class PriceUpdate(BaseModel):
    """A message in an order queue.

    A new market price, for an account with orders waiting for one, or a futures position.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    update_id: str
    account_id: str
    exchange: str
    symbol: str
    price: Decimal
    at: datetime


class ReconcileAccount(BaseModel):
    """A message in an order queue: look after what has not ended yet on an account with exchange keys."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    follow_id: str
    account_id: str
    exchange: str


class Flatten(BaseModel):
    """A message in an order queue.

    Close what is open on an account, or cancel what would open more, because of a halt.

    Attributes:
        symbols: Only these, by their plain names; empty for everything.
        group_name: Only what belongs to this strategy; None for everything.
        entries_only: Cancel the orders that would open or add; positions and what protects them stay.
        halt: The halt that wants it, by the fields of its switch; None notes nowhere what is left open.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    flatten_id: str
    user_id: str
    account_id: str
    exchange: str
    symbols: tuple[str, ...] = ()
    group_name: str | None = None
    entries_only: bool = False
    halt: dict[str, str | None] | None = None
    at: datetime


class Order(BaseModel):
    """An order in the ledger.

    Attributes:
        leg: Its place within the signal on this account: "0", "1", ... for what was asked for, "close" for
            what had to go first, "0.sl" and "0.tp" for the stop-loss and the take-profit of what "0" opened.
        number: Its number on the account, from 1; what people call the order.
        exchange_order_id: The exchange's own id.
        base: The base currency; `symbol` does not say where it ends.
        quantity: Base units asked for; `filled` of them done.
        price: The limit price; of a market order the market price it was sized by.
        value: Quote units, filled times average price; `fee` in `fee_currency`.
        percent: The share it was sized by, if it was.
        group_name: The strategy it belongs to.
        code: Why it was rejected or cancelled, if it was not asked for; `values` are what the code's sentence
            mentions.
        sent_at: When it was last sent to the exchange, or claimed to be sent. Likewise `tries`, how often,
            limits aside.
        take_profit: Where to leave what it opens, quote per base; likewise `stop_loss`.
        protected: Base units of what it has filled that its exits have been placed for.
        margin_mode, hedged: The position it concerns: `cross` or `isolated`, and whether long and short ones
            are kept apart.
        written_off_at: When it was found to be absent from the exchange. It is looked up for a while after
            that, should it show up late.
        exit_round: Counts the tries at its exits, a further one for each part that fills later.
        realized_profit: Quote units won by what it closed, against the position's average entry price, less
            its own fee (see entries.py); None until it has ended, and where it is not known. `booked` says
            that it has been reckoned.
        basis: What it was sized from: `price`, `held` in base units and `free` in quote units, as far as they
            were looked at; and what was `owned`, on spot that which orders hold included.
        delays: What it had to wait for.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    signal_id: str
    account_id: str
    user_id: str
    leg: str
    number: int
    client_order_id: str
    exchange_order_id: str | None = None
    exchange: str
    market_type: MarketType
    symbol: str
    base: str
    side: Side
    order_type: OrderType
    reduce_only: bool = False
    status: OrderStatus
    quantity: Decimal
    filled: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    average_price: Decimal | None = None
    value: Decimal | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    realized_profit: Decimal | None = None
    booked: bool = False
    percent: Decimal | None = None
    group_name: str | None = None
    code: str | None = None
    values: dict[str, Any] = {}
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    protected: Decimal = Decimal(0)
    written_off_at: datetime | None = None
    exit_round: int = 0
    margin_mode: str | None = None
    hedged: bool = False
    sent_at: datetime | None = None
    tries: int = 0
    basis: dict[str, Decimal] = {}
    delays: tuple[Delay, ...] = ()
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def order_id(self) -> str:
        """The order's address in the ledger."""
        return f"{self.signal_id}-{self.account_id}-{self.leg}"

    @property
    def entity(self) -> str:
        """What its events are about."""
        return f"order#{self.order_id}"

    @property
    def received(self) -> Decimal:
        """Base units that its fills brought, less a fee that was taken from them."""
        taken_from_base = self.fee_currency is not None and self.fee_currency == self.base
        if (
            self.side is Side.SELL
            or self.market_type is MarketType.FUTURES
            or not self.fee
            or not taken_from_base
        ):
            return self.filled
        return max(self.filled - self.fee, Decimal(0))

    @property
    def exit_of(self) -> str | None:
        """The leg whose position this order leaves, if it is a take-profit or a stop-loss."""
        entry, dot, _ = self.leg.partition(".")
        return entry if dot else None

    @property
    def unprotected(self) -> Decimal:
        """Base units that have filled and whose take-profit or stop-loss is not placed yet."""
        wanted = self.take_profit is not None or self.stop_loss is not None
        return max(self.received - self.protected, Decimal(0)) if wanted else Decimal(0)


class RefusedLeg(BaseModel):
    """A leg that made no order: why, and the values its message needs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    leg: str
    code: str
    values: dict[str, Any] = {}
    status: int = 422


class Outcome(StrEnum):
    """How a signal ended on an account, or on all of its accounts."""

    FILLED = "filled"
    PLACED = "placed"
    """Orders are at the exchange. They may fill later."""

    DONE = "done"
    """Carried out without an order: a cancel, or nothing was to do."""

    PARTIAL = "partial"
    REFUSED = "refused"
    REJECTED = "rejected"


class AccountResult(BaseModel):
    """How one signal ended on one account.

    Attributes:
        refused: What could not be done. Without a single order, nothing was traded.
        cancelled: How many orders a cancel took back; `not_cancelled` how many it could not.
        note: Code of why nothing was done, where that is as it should be: `came_late`.
        detail: What the sender's answer tells beside the orders (the paper seed's `simulation`).
        delays: What the signal had to wait for at the exchange.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    signal_id: str
    account_id: str
    account_name: str
    exchange: str
    refused: tuple[RefusedLeg, ...] = ()
    orders: tuple[Order, ...] = ()
    cancelled: int = 0
    not_cancelled: int = 0
    note: str | None = None
    detail: dict[str, Any] = {}
    delays: tuple[Delay, ...] = ()
    settled_at: datetime

    @property
    def outcome(self) -> "Outcome":
        """How it ended, in one word. Protective orders do not count."""
        entries = [order for order in self.orders if order.exit_of is None]
        placed = [order for order in entries if order.status is not OrderStatus.REJECTED]
        if self.refused or self.not_cancelled:
            if placed or self.cancelled:
                return Outcome.PARTIAL
            return Outcome.REJECTED if entries else Outcome.REFUSED
        if not entries:
            return Outcome.DONE
        if len(placed) < len(entries):
            return Outcome.PARTIAL if placed else Outcome.REJECTED
        filled = all(order.status is OrderStatus.FILLED for order in placed)
        return Outcome.FILLED if filled else Outcome.PLACED

    @property
    def code(self) -> str | None:
        """Why something was not done; None if everything was."""
        rejected = [order.code for order in self.orders if order.status is OrderStatus.REJECTED]
        return next(
            (code for code in (*(leg.code for leg in self.refused), *rejected, self.note) if code), None
        )

    @property
    def succeeded(self) -> bool:
        """Something was done: an order placed, or a cancel carried out in full.

        No close that leaves something.
        """
        if any(leg.code == CLOSE_INCOMPLETE for leg in self.refused):
            return False
        return not self.refused or any(order.status is not OrderStatus.REJECTED for order in self.orders)


def in_one(orders: Sequence[Order]) -> list[Order]:
    """Orders with the parts of each leg as one order, in their sequence: the sum, at the average price.

    What a part has left open and a later part has closed was asked for once.
    """
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(whole(order.leg), []).append(order)
    return [_sum(parts) if len(parts) > 1 else parts[0] for parts in found.values()]


def _sum(parts: Sequence[Order]) -> Order:
    filled = sum((part.filled for part in parts), Decimal(0))
    value = sum((part.value or Decimal(0) for part in parts), Decimal(0))
    taken = [part for part in parts if part.status is not OrderStatus.REJECTED] or list(parts)
    last = taken[-1]
    told = {
        "leg": whole(last.leg),
        "exchange_order_id": taken[0].exchange_order_id,
        "quantity": filled + last.quantity - last.filled,
        "filled": filled,
        "value": value if filled else None,
        "average_price": rounded(value / filled) if filled else None,
    }
    return last.model_copy(update=told)
