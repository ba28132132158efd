"""The Protocol of an exchange, and the values passed to it and returned by it.

All values are immutable, all quantities Decimal.

Quantities are base units. The adapter converts to contracts if its exchange counts contracts. Prices are
quote per base. Times are UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from chalicelib.errors import Retryable
from chalicelib.trading import ExitPlan, MarketType, OrderType, PositionSide


class Side(StrEnum):
    """Order side."""

    BUY = "buy"
    SELL = "sell"


class OrderStatus(StrEnum):
    """State of an order. `unknown` means: look the order up, never send it again."""

    PLANNED = "planned"
    PENDING_NEW = "pending_new"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether the order has ended and cannot change any more."""
        return self in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A tradable instrument with the rules for its orders.

    Attributes:
        name: `BTCUSDT`.
        price_tick: Prices are multiples of this, quote per base.
        quantity_step: Quantities are multiples of this, base units.
        minimum_quantity: Base units. None if the exchange sets none, as for the other limits.
        minimum_notional: Quote units.
        contract_size: Base units per contract. None on spot.
        maximum_market_quantity: Largest market order, base units. None if the exchange sets none.
        maximum_market_value: Largest value of a market order, quote units. None if the exchange sets none.
    """

    name: str
    base: str
    quote: str
    market_type: MarketType
    price_tick: Decimal
    quantity_step: Decimal
    minimum_quantity: Decimal | None = None
    maximum_quantity: Decimal | None = None
    minimum_notional: Decimal | None = None
    contract_size: Decimal | None = None
    maximum_market_quantity: Decimal | None = None
    maximum_market_value: Decimal | None = None


@dataclass(frozen=True, slots=True)
class StopMoves:
    """How a simulated account moves a stop-loss. Prices are quote per base.

    Attributes:
        entry_price: The average fill price of the entry: where break-even is.
        trailing_percent, trailing_distance: Distance from the best price. None for both does not trail.
        activation: The price from which the stop trails. None trails at once.
        is_active: Whether the activation has been reached.
        break_even_price: The price that moves the stop to the entry. None for none.
        take_profits_left: Number of take-profits that must still fill to move it there. None for none.
    """

    entry_price: Decimal
    trailing_percent: Decimal | None = None
    trailing_distance: Decimal | None = None
    activation: Decimal | None = None
    is_active: bool = False
    break_even_price: Decimal | None = None
    take_profits_left: int | None = None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order to place.

    Attributes:
        client_order_id: Our id, `^[A-Za-z0-9]{1,32}$`, the same for every try at this order.
        quantity: Base units, already a multiple of the step.
        price: Limit price, quote per base. None for market orders.
        stop_price: Trigger price of stop orders, quote per base. None for other orders.
        trigger_above: Whether the stop waits for the market to rise to `stop_price` (True) or to fall to it
            (False).
        leverage: Futures only. None keeps the exchange's setting.
        margin_mode: `cross` or `isolated`, futures only. None keeps the exchange's setting.
        hedged: Whether the account keeps long and short positions apart.
        time_in_force: `GTC`, `IOC`, `FOK`. None uses the exchange's default.
        exits: Protective orders of their own, placed after a fill and not sent with this one.
        oco_group: Name of orders of which one cancels the others. A paper book applies the group itself. At
            exchanges the reconciliation does.
        exit_group: Names the exits of one fill of an entry, all shares together. None for other orders.
        moves: How a paper book moves this stop-loss. None leaves it where it is.
        oco_sibling: The other order of the OCO group, to be placed in the same call. For exchanges that would
            refuse it alone.
    """

    client_order_id: str
    instrument: Instrument
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trigger_above: bool | None = None
    reduce_only: bool = False
    post_only: bool = False
    time_in_force: str | None = None
    leverage: int | None = None
    margin_mode: str | None = None
    hedged: bool = False
    exits: ExitPlan | None = None
    oco_group: str | None = None
    exit_group: str | None = None
    moves: StopMoves | None = None
    oco_sibling: "OrderRequest | None" = None


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order as the exchange reports it.

    Attributes:
        exchange_order_id: The exchange's own id. None if not assigned yet.
        filled: Base units.
        average_price: Average price of the fills, quote per base. None without fills or if unknown.
        fee: In `fee_currency`. None if unknown.
        trigger: Whether the order is a conditional order in a separate book of the exchange.
    """

    client_order_id: str
    exchange_order_id: str | None
    status: OrderStatus
    instrument_name: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    filled: Decimal = Decimal(0)
    average_price: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    trigger: bool = False
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A futures position, or a spot holding in the same form.

    Attributes:
        quantity: Base units, negative for a short position.
        leverage: None on spot.
        position_side: The side in hedge mode. None in one-way mode and on spot.
        margin_mode: `cross` or `isolated`. None on spot and if the mode applies to the whole account.
    """

    instrument_name: str
    market_type: MarketType
    quantity: Decimal
    entry_price: Decimal | None = None
    leverage: Decimal | None = None
    unrealized_profit: Decimal | None = None
    position_side: PositionSide | None = None
    margin_mode: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """One currency of an account. `total` is `free` plus the amounts in orders and margin."""

    currency: str
    free: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Credentials:
    """An exchange API key. Never logged: its repr is empty.

    Attributes:
        demo: Whether to use the exchange's own test environment.
    """

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)
    demo: bool = True


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an order.

    Attributes:
        fill_id: The exchange's id of the trade, unique per instrument.
        quantity: Base units.
        fee: In `fee_currency`, negative for a rebate.
    """

    fill_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal | None
    fee_currency: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill with its order.

    Attributes:
        client_order_id: Empty if the order has none. None if the exchange does not name the order.
    """

    client_order_id: str | None
    exchange_order_id: str
    fill: Fill


@dataclass(frozen=True, slots=True)
class Ticker:
    """A row of an exchange's public ticker list, quote per base.

    Attributes:
        price: The last trade's.
        high, low: The highest and lowest trade of the last 24 hours. None where the list has none.
    """

    price: Decimal
    high: Decimal | None = None
    low: Decimal | None = None


@dataclass(frozen=True, slots=True)
class KeyPermissions:
    """An API key's permissions. None if the exchange does not report one.

    Attributes:
        addresses: IP addresses that the key is bound to. Empty if unbound.
        verified: Whether the exchange itself reports the permissions. If not, it only accepts the key.
    """

    read: bool
    trade: bool
    withdraw: bool | None
    addresses: tuple[str, ...] = ()
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Pacing:
    """What a reply says about the limits, for the limiter. None if it says nothing.

    Attributes:
        used_weight: Request weight used by this address in the current minute.
        order_counts: Orders placed by the account, by the exchange's name of the interval: `10s`, `1m`, `1d`.
        remaining: Calls of this kind left to the account in the current window.
        retry_after: Seconds to back off.
    """

    used_weight: int | None = None
    order_counts: tuple[tuple[str, int], ...] = ()
    remaining: int | None = None
    retry_after: float | None = None


class RateLimited(Retryable):
    """The exchange did not process the request because of a limit. Nothing was done.

    Args:
        retry_after: Seconds until a retry makes sense.
        scope: What is limited: the `account`, or the `address` and so every account behind it.
    """

    def __init__(self, retry_after: float, scope: str) -> None:
        super().__init__(f"rate limited per {scope}, again in {retry_after:g} s")
        self.retry_after = retry_after
        self.scope = scope


class Exchange(Protocol):
    """One account on one exchange and market.

    Every method may raise:

    - `Retryable`: nothing happened, a retry is safe. Includes `RateLimited`.
    - `OutcomeUnknown`: only from methods that change something.
    - `Refused`: the exchange refused, with one of our codes.
    """

    def instrument(self, base: str, quote: str) -> Instrument:
        """Returns the rules of a trading pair from stored metadata, without a request.

        Raises NotDoable `symbol_unknown`.
        """
        ...

    def balances(self) -> Sequence[Balance]:
        """Returns the account's balances."""
        ...

    def positions(self) -> Sequence[Position]:
        """Returns the open futures positions, or the holdings on spot."""
        ...

    def last_price(self, instrument: Instrument) -> Decimal:
        """Returns the last traded price, quote per base."""
        ...

    def place(self, order: OrderRequest) -> OrderState:
        """Places an order once.

        After OutcomeUnknown the caller looks the order up by client order id and does not place it again.
        """
        ...

    def find(self, client_order_id: str, instrument: Instrument, *, trigger: bool) -> OrderState | None:
        """Returns the order with this client order id. None if the exchange is certain that there is none."""
        ...

    def cancel(self, order: OrderState, instrument: Instrument) -> OrderState:
        """Cancels one order. An order that had already ended is returned in its final state."""
        ...

    def open_orders(self, instrument: Instrument | None = None) -> Sequence[OrderState]:
        """Returns the open orders, conditional orders included."""
        ...

    def cancel_all(self, instrument: Instrument | None = None) -> None:
        """Cancels every open order, or those of one instrument, conditional orders included.

        Idempotent.
        """
        ...

    def fills(self, order: OrderState, instrument: Instrument) -> Sequence[Fill]:
        """Returns the trades of an order with their fees, oldest first."""
        ...
