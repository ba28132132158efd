"""The basic vocabulary of trading: actions, markets, order types, instruments, sizes.

Immutable, no I/O.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer


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


_HUNDRED = Decimal(100)


class ExitLevel(Frozen):
    """Where an exit stands: one of three forms, the others are None.

    Attributes:
        price: Quote per base.
        percent: Distance from the average fill price of the entry, percent of that price.
        distance: Distance from the average fill price of the entry, quote per base.
    """

    price: Decimal | None = None
    percent: Decimal | None = None
    distance: Decimal | None = None

    def price_at(self, entry: Decimal, *, above: bool) -> Decimal:
        """Returns the price of the exit for an entry that filled at `entry`, quote per base.

        Args:
            above: Whether the exit lies above the entry. A price says so itself.
        """
        if self.price is not None:
            return self.price
        away = self.distance if self.distance is not None else entry * (self.percent or 0) / _HUNDRED
        return entry + away if above else entry - away


def _level(value: Any) -> Any:
    """Returns a plain number as the price of an exit. Other values are unchanged."""
    return {"price": value} if isinstance(value, (Decimal, int, str)) else value


def _as_sent(level: ExitLevel) -> Decimal | dict[str, Decimal]:
    """Returns a price as a plain number, and another form as an object with its one key."""
    return level.price if level.price is not None else level.model_dump(exclude_none=True)


Level = Annotated[ExitLevel, BeforeValidator(_level), PlainSerializer(_as_sent)]
"""A plain number is a price, as in the body of a signal."""


class TakeProfit(ExitLevel):
    """One of several take-profits.

    Attributes:
        share: How much of the position it closes, percent.
    """

    share: Decimal = _HUNDRED


class BreakEven(Frozen):
    """When the stop-loss moves to the entry's average fill price. One is set.

    Attributes:
        take_profits: After this number of take-profits has filled.
        percent: After a favourable move, percent of the average fill price.
    """

    take_profits: int | None = None
    percent: Decimal | None = None


class TrailingStop(Frozen):
    """A stop that follows the best price since the entry. One of percent and distance is set.

    Attributes:
        percent: Distance from the best price, percent of that price.
        distance: Distance from the best price, quote per base.
        activation: Where it starts to follow. None starts at the fill.
    """

    percent: Decimal | None = None
    distance: Decimal | None = None
    activation: Level | None = None

    @property
    def level(self) -> ExitLevel:
        """Its distance from the best price."""
        return ExitLevel(percent=self.percent, distance=self.distance)


class ExitPlan(Frozen):
    """How an entry is left: the protective orders that follow its fills.

    Attributes:
        take_profits: Their shares add up to at most 100 percent. The rest has the stop-loss only.
    """

    stop_loss: ExitLevel | None = None
    take_profits: tuple[TakeProfit, ...] = ()
    break_even_after: BreakEven | None = None
    trailing_stop: TrailingStop | None = None

    @property
    def stops(self) -> bool:
        """Whether the position has a stop: a stop-loss or a trailing stop."""
        return self.stop_loss is not None or self.trailing_stop is not None

    @property
    def moves(self) -> bool:
        """Whether the stop moves after it has been placed."""
        return self.break_even_after is not None or self.trailing_stop is not None

    @property
    def orders(self) -> int:
        """Largest number of protective orders for one fill."""
        whole = sum((each.share for each in self.take_profits), Decimal(0)) >= _HUNDRED
        parts = len(self.take_profits) + (not whole)
        return len(self.take_profits) + (parts if self.stops else 0)


class ExitFields(Frozen):
    """The exits that a signal asks for."""

    take_profit: Level | None = None
    stop_loss: Level | None = None
    take_profits: tuple[TakeProfit, ...] = ()
    break_even_after: BreakEven | None = None
    trailing_stop: TrailingStop | None = None

    @property
    def exits(self) -> ExitPlan | None:
        """The exits as one plan. None without any."""
        one = () if self.take_profit is None else (TakeProfit(**self.take_profit.model_dump()),)
        plan = ExitPlan(
            stop_loss=self.stop_loss,
            take_profits=self.take_profits or one,
            break_even_after=self.break_even_after,
            trailing_stop=self.trailing_stop,
        )
        return None if plan == ExitPlan() else plan
