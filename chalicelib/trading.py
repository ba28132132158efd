"""The basic vocabulary of trading: actions, markets, order types, instruments, sizes.

Immutable, no I/O.
"""

from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Variant(StrEnum):
    """The inbound webhook that received a signal."""

    LEGACY = "legacy"
    PERSONAL = "personal"
    XC = "xc"
    GROUP = "group"
    PAPER = "paper"
    MANUAL = "manual"


class Action(StrEnum):
    """What a signal does. `buy` and `sell` are order sides and never flip a position.

    `long` and `short` are directions.
    """

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
    """How the order enters the order book."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_LIMIT = "stop_limit"
    STOP_MARKET = "stop_market"


class PositionSide(StrEnum):
    """The position of an account in hedge mode that an order changes."""

    LONG = "long"
    SHORT = "short"


class TimeInForce(StrEnum):
    """How long a limit order works: until cancelled, or filled immediately in part, or in full."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OnExpiry(StrEnum):
    """What happens with the rest of an order that expires."""

    CANCEL = "cancel"
    MARKET = "market"


class Frozen(BaseModel):
    """The base of every value here: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Unit(StrEnum):
    """The unit of a size.

    Base or quote currency, a percentage of the free balance, or a percentage of the position.
    """

    BASE = "base"
    QUOTE = "quote"
    BALANCE_PERCENT = "percent_of_balance"
    POSITION_PERCENT = "percent_of_position"


class Size(Frozen):
    """How much an order is for. The amount has no meaning without its unit."""

    amount: Decimal
    unit: Unit = Unit.BASE


class Symbol(Frozen):
    """An instrument, resolved from the sender's notation.

    Attributes:
        raw: As sent, `BINANCE:BTCUSDT.P`.
        base: `BTC`. For a share its ticker, `AAPL`.
        quote: `USDT`. None for a share.
        perpetual: The notation names a perpetual (`.P`, `PERP`, `-SWAP`, `:USDT`).
        venue: The exchange in the notation, lower case, `binance`. None if there is none.
    """

    raw: str
    base: str
    quote: str | None = None
    perpetual: bool = False
    venue: str | None = None

    @property
    def name(self) -> str:
        """The plain name in our records: `BTCUSDT`, `AAPL`."""
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
