"""Messages of the order queues and records of the order store. Immutable, no I/O."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from chalicelib import request_limits
from chalicelib.exchanges.protocol import OrderStatus, Side
from chalicelib.exchanges.rate_limiter import Delay
from chalicelib.exchanges.wire import rounded
from chalicelib.orders.legs import whole
from chalicelib.trading import (
    Action,
    ExitFields,
    ExitLevel,
    ExitPlan,
    Leg,
    MarketType,
    OnExpiry,
    OrderType,
    PositionSide,
    Symbol,
)

CLOSE_INCOMPLETE = "close_incomplete"
"""Code of a close that left part of the position open."""


class Instruction(ExitFields):
    """One signal on one account: a message of an order queue.

    Holds everything needed to size and place the orders.

    Attributes:
        variant: The webhook variant. The answer's format depends on it.
        quantity: Size given by the sender, base units. None if sized otherwise.
        quote_amount: Size given by the owner's settings, quote units. On futures the leverage is included.
        position_percent: Size as a percent of the position.
        legs: One order for each percentage. For a close, the size is the most that is closed. Without a size,
            a close closes everything.
        target_size: Largest position after an order sized by `quantity`, base units. None sets no bound.
        shrinks: Whether a `long` or `short` leaves its position smaller, so that the order reduces.
        came_late: Whether a later entry has overtaken this exit. If so, the exit does nothing.
        overtaken_by: Id of the signal that may have overtaken this exit. It has if it closed the account's
            opposite position.
        price: The sender's market price, or the limit price if `order_type` has one. Quote per base.
        take_profit, stop_loss, take_profits, break_even_after, trailing_stop: The exits. An entry is never
            placed without them.
        risk_percent: Largest loss at the stop-loss, percent of the free quote balance. Bounds the order's
            size.
        expires_in_s: Seconds after which a resting order ends. None for never.
        on_expiry: What happens with the rest of an order that expires.
        exit_after_s: Seconds from the first fill to the close of what the order opened. None for never.
        position_side: The position in hedge mode. None in one-way mode.
        close_same_side: Whether the order reduces a position on the other side. If a position on its own side
            exists instead, the order closes that position.
        weight: The account's share of each percentage, percent.
        group_name: The strategy of the orders. None for no strategy.
        single_account: Whether the signal goes to this account only, so that settling the account settles the
            signal.
        simulated: Whether the account was simulated at acceptance, so that its book is read first.
        entries_only: Whether a cancel leaves closing and reducing orders alone.
        order_id: The only order that a cancel concerns. None means every matching order.
        cancel_code: Code of the orders that a cancel ends. None if their owner asked for the cancel.
        unconditional: Whether inactive users and accounts are no obstacle, because a signed-in user asked.
        max_price_deviation_percent: Largest distance of a market order's price from the market, percent. 0
            allows any price.
        max_age_s: Largest age at which the signal may open a position, seconds.
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
    risk_percent: Decimal | None = None
    expires_in_s: int | None = None
    on_expiry: OnExpiry = OnExpiry.CANCEL
    exit_after_s: int | None = None
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
    order_id: str | None = None
    cancel_code: str | None = None
    unconditional: bool = False
    batch: bool = False
    group_name: str | None = None
    received_at: datetime
    sent_at: datetime | None = None
    max_price_deviation_percent: Decimal = request_limits.PRICE_DEVIATION_PERCENT
    max_age_s: int
    single_account: bool

    @property
    def market_price(self) -> Decimal | None:
        """The sender's market price, quote per base. None if `price` is a limit price.

        Sizes orders only on simulated accounts without a live price, see `reference_price`.
        """
        return self.price if self.order_type in (OrderType.MARKET, OrderType.STOP_MARKET) else None


class PriceUpdate(BaseModel):
    """A new market price for a simulated account with waiting orders or futures positions.

    A message of an order queue.

    Attributes:
        market_type: Whose price it is. None lets the orders of both markets see it.
        high, low: The extremes since the last look, where they are certain and go beyond `price`.
        since: When that last look was. Orders placed later do not see the extremes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    update_id: str
    account_id: str
    exchange: str
    symbol: str
    price: Decimal
    at: datetime
    market_type: MarketType | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    since: datetime | None = None


class ReconcileAccount(BaseModel):
    """Requests a reconciliation of an account with exchange keys. A message of an order queue."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    follow_id: str
    account_id: str
    exchange: str


class CancelOrder(BaseModel):
    """Cancels one resting order because a signed-in user asked. A message of an order queue.

    Attributes:
        cancel_id: The order store keeps the result under this id, as that of a signal.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    cancel_id: str
    user_id: str
    account_id: str
    exchange: str
    order_id: str
    at: datetime


class KeepDeadline(BaseModel):
    """Ends the expired orders of a signal, or closes what its orders opened. A message of an order queue.

    Attributes:
        deadline_id: Key of the deadline in `in_flight_orders`, see `orders/deadlines.py`.
        due_at: The due time that the message is about. A deadline that was postponed has another.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    deadline_id: str
    account_id: str
    exchange: str
    due_at: datetime


class Flatten(BaseModel):
    """Closes an account's positions or cancels its entries, because of a halt or because a user asked.

    A message of an order queue.

    Attributes:
        symbols: Only these symbols, by plain name. Empty means all.
        group_name: Only orders and positions of this strategy. None means all.
        entries_only: Cancels orders that would open or add. Positions and their exits stay.
        symbol: The only symbol that a user asked to close. None means all. An asset without quote currency
            is a holding.
        market_type: The only market that a user asked to close. None means both.
        halt: The halt, as the fields of its switch. None if a user asked, without a halt.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    flatten_id: str
    user_id: str
    account_id: str
    exchange: str
    symbols: tuple[str, ...] = ()
    group_name: str | None = None
    entries_only: bool = False
    symbol: Symbol | None = None
    market_type: MarketType | None = None
    halt: dict[str, str | None] | None = None
    at: datetime

    @property
    def is_requested(self) -> bool:
        """Whether a signed-in user asked to close, without a halt."""
        return self.halt is None


class Order(BaseModel):
    """An order in the order store.

    Attributes:
        leg: Name of the order within its signal and account: "0", "1" … for requested orders, "close" for a
            close before them, "0.sl" and "0.tp" for the exits of "0".
        number: Number of the order on the account, from 1. Shown to users.
        exchange_order_id: The exchange's own id. None before it is known.
        base: The base currency. `symbol` does not separate base and quote.
        quantity: Requested size, base units.
        filled: Filled size, base units.
        price: The limit price, or for a market order the price that sized it. Quote per base.
        value: Filled size times average price, quote units.
        fee: Fee in `fee_currency`. None if unknown.
        percent: The share that sized the order, percent. None if sized otherwise.
        group_name: The strategy. None for no strategy.
        code: Why the order was rejected, or cancelled without a request. None otherwise.
        values: Values for the sentence of `code`.
        sent_at: When the order was last sent to the exchange, or recorded for sending.
        tries: Number of sends, without those that a rate limit turned away.
        expires_at: When a resting order ends, see `orders/deadlines.py`. None for never.
        on_expiry: What happens with the rest of an order that expires.
        exit_after_s: Seconds from the first fill to the close of what the order opened. None for never.
        opened_at: The first fill of an order with `exit_after_s`. None before.
        exits: The protective orders that follow its fills. None for none.
        protected: Filled base units for which exits have been placed.
        margin_mode: `cross` or `isolated`. None if not applicable.
        hedged: Whether the account keeps long and short positions apart.
        written_off_at: When the order was found to be absent at the exchange. It is looked up for a while in
            case it appears late.
        exit_round: Number of rounds of placing exits. Each later fill needs a further round.
        realized_profit: Profit of the closed part against the average entry price, net of the order's own
            fee, quote units. None until the order has ended and if unknown. See `portfolio/cost_basis.py`.
        booked: Whether `realized_profit` has been computed.
        basis: The values that sized the order, as far as they were read: `price`, `held` in base units,
            `free` in quote units. `owned` is the position before the order. On spot it includes what open
            orders lock.
        delays: The waits of the order.
        signal_price: The price at which the signal wanted to trade: a limit or stop price, else the signal's
            price, else the market price when the order was sized. None if none was known.
        filled_at: When the fill was booked. The fills of an account have the order of these times.
        held_before: The position before the fill, base units, negative if short. None if it is not known.
        quantity_step: Less than that counts as nothing. None if the account is simulated.
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
    expires_at: datetime | None = None
    on_expiry: OnExpiry = OnExpiry.CANCEL
    exit_after_s: int | None = None
    opened_at: datetime | None = None
    exits: ExitPlan | None = None
    protected: Decimal = Decimal(0)
    written_off_at: datetime | None = None
    exit_round: int = 0
    margin_mode: str | None = None
    hedged: bool = False
    sent_at: datetime | None = None
    tries: int = 0
    basis: dict[str, Decimal] = {}
    delays: tuple[Delay, ...] = ()
    signal_price: Decimal | None = None
    filled_at: datetime | None = None
    held_before: Decimal | None = None
    quantity_step: Decimal | None = None
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @model_validator(mode="before")
    @classmethod
    def _read_exit_prices(cls, stored: Any) -> Any:
        """Reads the exits of an order that 0.2.0 stored: its entry must not stay without them."""
        if not isinstance(stored, dict) or "exits" in stored:
            return stored
        prices = ExitFields(take_profit=stored.get("take_profit"), stop_loss=stored.get("stop_loss"))
        return stored if prices.exits is None else stored | {"exits": prices.exits}

    @property
    def order_id(self) -> str:
        """Id of the order: its key in the order store."""
        return f"{self.signal_id}-{self.account_id}-{self.leg}"

    @property
    def entity(self) -> str:
        """The entity of the order's events."""
        return f"order#{self.order_id}"

    @property
    def received(self) -> Decimal:
        """Filled base units, less a fee taken in the base currency."""
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
        """The leg whose position this take-profit or stop-loss closes. None for other orders."""
        entry, dot, _ = self.leg.partition(".")
        return entry if dot else None

    @property
    def is_stop_loss(self) -> bool:
        """Whether this is a stop-loss that closes what an entry opened."""
        return self.exit_of is not None and ".sl" in self.leg

    @property
    def wanted_price(self) -> Decimal | None:
        """The price that fills are compared with: `signal_price`, or where a protective stop stands now."""
        moved = self.stop_price if self.exit_of is not None else None
        return self.signal_price if moved is None else moved

    @property
    def unprotected(self) -> Decimal:
        """Filled base units without take-profit or stop-loss."""
        return max(self.received - self.protected, Decimal(0)) if self.exits is not None else Decimal(0)

    def exit_price(self, missing: str) -> Decimal | None:
        """Returns the price of the stop-loss, or of the first take-profit. None if there is none.

        Args:
            missing: `stop_loss` or `take_profit`.
        """
        plan, entry = self.exits or ExitPlan(), self.average_price or self.price or self.stop_price
        above = (missing == "take_profit") is (self.side is Side.BUY)
        found: ExitLevel | None
        if missing == "take_profit":
            found = next(iter(plan.take_profits), None)
        else:
            found = plan.stop_loss or (plan.trailing_stop.level if plan.trailing_stop else None)
        return None if found is None or entry is None else rounded(found.price_at(entry, above=above))


class RefusedLeg(BaseModel):
    """A leg without an order: the reason and the values for its sentence."""

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
    """The result of one signal on one account.

    Attributes:
        refused: Refused legs. Without any order, nothing was traded.
        cancelled: Number of cancelled orders.
        not_cancelled: Number of orders that could not be cancelled.
        note: Code that explains why nothing had to be done: `came_late`. None otherwise.
        detail: Further fields of the sender's answer (`simulation` of the paper webhook).
        delays: The waits for the exchange.
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
        """Whether an order was placed or every order was cancelled.

        False for a close that leaves part of a position open.
        """
        if any(leg.code == CLOSE_INCOMPLETE for leg in self.refused):
            return False
        return not self.refused or any(order.status is not OrderStatus.REJECTED for order in self.orders)


def in_one(orders: Sequence[Order]) -> list[Order]:
    """Returns the orders with the parts of each leg merged: summed sizes at the average price.

    A quantity left open by one part and closed by a later part counts once.
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
    fields = {
        "leg": whole(last.leg),
        "exchange_order_id": taken[0].exchange_order_id,
        "quantity": filled + last.quantity - last.filled,
        "filled": filled,
        "value": value if filled else None,
        "average_price": rounded(value / filled) if filled else None,
    }
    return last.model_copy(update=fields)
