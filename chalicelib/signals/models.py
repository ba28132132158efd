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
    """One order of a signal.

    Attributes:
        percent: Share of the free quote balance (opening) or of what is held (reducing), in percent.
        price: Limit price, quote per base.
        stop_price: Trigger price, quote per base.
    """

    percent: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None


class Signal(Frozen):
    """What a sender asks for.

    Attributes:
        quantity: Base units. None where the owner's settings or a percentage size the order.
        price: Reference price (paper fills, slippage guard), or the limit price where `order_type` says so.
        legs: The orders of a group signal: one, or several for a batch. Empty for the other variants.
        batch: The body had an `orders` list, so the answer is the batch one even for a single leg.
        account: Name of the paper account it is for.
        demo: xc only: trade on demo accounts.
        sent_at: When the sender says it sent it (`timestamp`, `timenow`), UTC.
        idempotency_key: The sender's own key for this signal (`alert_id`, `idempotency_key`).
        market_position: TradingView's `strategy.market_position` after the alert's order, `long`, `short` or `flat`;
            `prev_market_position` the one before it.
        unknown: Keys nobody here knows, kept as they came.
    """

    variant: Variant
    action: Action
    symbol: Symbol | None = None
    market_type: MarketType | None = None
    order_type: OrderType = OrderType.MARKET
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
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
