"""What tradehook asks of an exchange: one Protocol, and the messages that cross it.

All immutable, all quantities Decimal.

Quantities are base units everywhere (an adapter converts to contracts where its exchange counts those),
prices quote per base, times UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from chalicelib.errors import Retryable
from chalicelib.trading import MarketType, OrderType, PositionSide


class Side(StrEnum):
    """Order side."""

    BUY = "buy"
    SELL = "sell"


class OrderStatus(StrEnum):
    """Where an order stands. `unknown` means: look it up, never send it again."""

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
        """Nothing more will happen to the order."""
        return self in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is traded, with the rules an order must obey.

    Attributes:
        name: `BTCUSDT`.
        price_tick: Prices are multiples of this, quote per base.
        quantity_step: Quantities are multiples of this, base units.
        minimum_quantity: Base units; None if the exchange sets none. Likewise the others.
        minimum_notional: Quote units.
        contract_size: Base units per contract; None on spot.
        maximum_market_quantity: The largest order at market, base units; None if the exchange sets none.
        maximum_market_value: The same in quote units, where the exchange limits what such an order is worth.
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
class OrderRequest:
    """An order to place.

    Attributes:
        client_order_id: Ours, `^[A-Za-z0-9]{1,32}$`, the same for every try at this order.
        quantity: Base units, already a multiple of the step.
        price: Limit price; None for market orders.
        stop_price: Trigger price of stop orders.
        trigger_above: The stop waits for the market to rise to `stop_price` (True) or to fall to it (False).
        leverage: Futures only.
        margin_mode: `cross` or `isolated`; futures only.
        hedged: The account keeps long and short positions apart.
        time_in_force: `GTC`, `IOC`, `FOK`; None leaves the exchange's default.
        take_profit, stop_loss: Where to leave what this order opens, quote per base. Orders of their own,
            placed once it has traded; no exchange is told of them here.
        oco_group: Orders of one pair cancel each other: as soon as one trades, the other goes. What a paper
            book keeps; real exchanges' pairs are kept by the follow-up.
        oco_sibling: The other order of the pair, to be placed with this one in a single call, where the
            exchange would not take it alone.
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
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    oco_group: str | None = None
    oco_sibling: "OrderRequest | None" = None


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order as the exchange reports it.

    Attributes:
        exchange_order_id: The exchange's own id; None if it has not given one.
        filled: Base units.
        average_price: Quote per base, of what has filled.
        fee: In `fee_currency`.
        trigger: It is a conditional order, kept by the exchange in a book of its own.
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
    """A futures position, or a spot holding seen as one.

    Attributes:
        quantity: Base units; negative for a short position.
        leverage: None on spot.
        position_side: Which of the two positions of hedge mode it is; None in one-way mode and on spot.
        margin_mode: `cross` or `isolated`; None on spot, and where the mode is the whole account's.
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
    """One currency of an account: `total` is `free` plus what orders and margin hold."""

    currency: str
    free: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Credentials:
    """An exchange API key. Never logged: its repr shows nothing.

    Attributes:
        demo: Use the exchange's own test environment.
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
        fee: In `fee_currency`; negative for a rebate.
    """

    fill_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal | None
    fee_currency: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill with the order it belongs to.

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
    """What an API key may do. None where the exchange does not tell.

    Attributes:
        addresses: The addresses the key is bound to; empty if to none.
        verified: The exchange itself names the permissions. Otherwise it only knows the key.
    """

    read: bool
    trade: bool
    withdraw: bool | None
    addresses: tuple[str, ...] = ()
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Pacing:
    """What an exchange's answer says about its limits, for the limiter to honour. None where it says nothing.

    Attributes:
        used_weight: Request weight used by this address in the current minute.
        order_counts: Orders placed by the account, by interval as the exchange names it: `10s`, `1m`, `1d`.
        remaining: Calls of this kind the account has left in the current window.
        retry_after: Seconds to keep away.
    """

    used_weight: int | None = None
    order_counts: tuple[tuple[str, int], ...] = ()
    remaining: int | None = None
    retry_after: float | None = None


class RateLimited(Retryable):
    """The exchange refused to look at the request because of a limit; nothing was done.

    Args:
        retry_after: Seconds until it is worth trying again.
        scope: Who is limited: the `account`, or the `address` and so every account behind it.
    """

    def __init__(self, retry_after: float, scope: str) -> None:
        super().__init__(f"rate limited per {scope}, again in {retry_after:g} s")
        self.retry_after = retry_after
        self.scope = scope


class Exchange(Protocol):
    """One account on one exchange and market.

    Every method may raise `Retryable` (nothing happened, try again; `RateLimited` among them),
    `OutcomeUnknown` (only from methods that change something) and `Refused` (the exchange said no, with its
    reason under a code of ours).
    """

    def instrument(self, base: str, quote: str) -> Instrument:
        """The rules for a pair, from cached metadata, never a call on the order path.

        Raises NotDoable `symbol_unknown`.
        """
        ...

    def balances(self) -> Sequence[Balance]:
        """What the account holds."""
        ...

    def positions(self) -> Sequence[Position]:
        """Open futures positions; on spot the holdings."""
        ...

    def last_price(self, instrument: Instrument) -> Decimal:
        """The last traded price."""
        ...

    def place(self, order: OrderRequest) -> OrderState:
        """Places an order once.

        On OutcomeUnknown the caller looks it up by client order id and does not place it again.
        """
        ...

    def find(self, client_order_id: str, instrument: Instrument, *, trigger: bool) -> OrderState | None:
        """The order with this client id; None if the exchange is certain there is none."""
        ...

    def cancel(self, order: OrderState, instrument: Instrument) -> OrderState:
        """Cancels one order; an order that had already ended is returned as it ended."""
        ...

    def open_orders(self, instrument: Instrument | None = None) -> Sequence[OrderState]:
        """Open orders, conditional ones included."""
        ...

    def cancel_all(self, instrument: Instrument | None = None) -> None:
        """Cancels every open order, or those of one instrument, conditional ones included.

        Nothing open is fine.
        """
        ...

    def fills(self, order: OrderState, instrument: Instrument) -> Sequence[Fill]:
        """The trades of an order with their fees, oldest first."""
        ...
