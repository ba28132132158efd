"""A signal: what a sender asks for, in one form for every variant. Immutable, no I/O."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Variant(StrEnum):
    """Which of the inbound webhooks a signal came by."""

    LEGACY = "legacy"
    PERSONAL = "personal"
    XC = "xc"
    GROUP = "group"
    PAPER = "paper"
    MANUAL = "manual"


class Action(StrEnum):
    """What to do. `buy` and `sell` are order sides and never flip a position; `long` and `short` are directions."""

    BUY = "buy"
    SELL = "sell"
    LONG = "long"
    SHORT = "short"
    CLOSE = "close"
    STOP = "stop"
    CANCEL_ALL = "cancel_all_order"


class MarketType(StrEnum):
    """Spot, or USDT-margined perpetual futures."""

    SPOT = "spot"
    FUTURES = "futures"


class OrderType(StrEnum):
    """How the order reaches the book."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_LIMIT = "stop_limit"
    STOP_MARKET = "stop_market"


class TimeInForce(StrEnum):
    """How long a limit order stays: until cancelled, or filled at once in part, or in full."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Frozen(BaseModel):
    """The base of every value here: immutable, and nothing unknown slips in."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Symbol(Frozen):
    """An instrument as the sender named it, resolved.

    Attributes:
        raw: As sent, `BINANCE:BTCUSDT.P`.
        base: `BTC`; for a share its ticker, `AAPL`.
        quote: `USDT`; None for a share.
        perpetual: The form names a perpetual (`.P`, `PERP`, `-SWAP`, `:USDT`).
        venue: The exchange the form names, lower case, `binance`.
    """

    raw: str
    base: str
    quote: str | None = None
    perpetual: bool = False
    venue: str | None = None

    @property
    def name(self) -> str:
        """The plain name the books use: `BTCUSDT`, `AAPL`."""
        return f"{self.base}{self.quote or ''}"


class Leg(Frozen):
    """One order of a group signal.

    Attributes:
        percent: Share of the free quote balance (opening) or of what is held (reducing), in percent.
        price: Limit price, quote per base; None unless the order type has a limit.
        stop_price: Trigger price, quote per base.
    """

    percent: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None


class Signal(Frozen):
    """What a sender asks for.

    Attributes:
        market_type: Where to trade, if the body says so; else the owner's settings do.
        quantity: Base units. None where the owner's settings or a percentage size the order, and where a position is closed.
        price: Reference price (paper fills, slippage guard), or the limit price where `order_type` says so.
        stop_price: Trigger price of stop orders, quote per base.
        time_in_force: Of the order; None leaves the exchange's default. Likewise `post_only`.
        reduce_only: The order may only make a position smaller.
        take_profit: Price at which to close with a profit once the order has filled; `stop_loss` likewise with a loss.
        legs: The orders of a group signal: one, or several for a batch. Empty for the other variants.
        batch: The body had an `orders` list, so the answer is the batch one even for a single leg.
        exchange: The exchange named in the body, `binance`. For a cancel a filter, as `market_type` and `symbol` are; None means all.
        currency: The quote currency named in the body, upper case.
        account: Name of the paper account it is for.
        demo: Trade on demo accounts only. Always set for xc, where only an explicit NO is False; else None if the body says nothing.
        sent_at: When the sender says it sent it (`timestamp`, `timenow`), UTC.
        idempotency_key: The sender's own key for this signal (`alert_id`, `idempotency_key`).
        market_position: TradingView's `strategy.market_position` after the alert's order, `long`, `short` or `flat`;
            `prev_market_position` the one before it.
        unknown: Keys nobody here knows, and known ones that mean nothing to this variant, kept as they came; credentials masked.
    """

    variant: Variant
    action: Action
    symbol: Symbol | None = None
    market_type: MarketType | None = None
    order_type: OrderType = OrderType.MARKET
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool = False
    post_only: bool = False
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    legs: tuple[Leg, ...] = ()
    batch: bool = False
    exchange: str | None = None
    currency: str | None = None
    group_name: str | None = None
    account: str | None = None
    strategy_id: str | None = None
    demo: bool | None = None
    sent_at: datetime | None = None
    idempotency_key: str | None = None
    market_position: str | None = None
    prev_market_position: str | None = None
    unknown: dict[str, Any] = Field(default_factory=dict)
