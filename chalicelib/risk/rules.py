"""Risk rules: what an owner never wants their orders to do, whatever a signal says. Pure.

A rule only ever holds back what opens or adds. Closing, reducing and cancelling are always allowed: a rule
that kept somebody in a position would be a risk of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.errors import NotDoable
from chalicelib.users.models import Record

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE = timedelta(minutes=1)


class Hours(Record):
    """A stretch of the week in which orders may open, UTC.

    Attributes:
        days: On which it begins.
        start: `08:00`.
        end: `16:30`, not included; at or before `start` it is on the next day.
    """

    days: tuple[str, ...] = DAYS
    start: str = "00:00"
    end: str = "00:00"

    def hold(self, at: datetime) -> bool:
        """Whether a moment is within it."""
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        now, today, yesterday = at.time().replace(tzinfo=None), DAYS[at.weekday()], DAYS[at.weekday() - 1]
        if start < end:
            return today in self.days and start <= now < end
        return (today in self.days and now >= start) or (yesterday in self.days and now < end)


class Rules(Record):
    """The rules of one user, account or strategy; None, or nothing listed, is no rule.

    All but the daily loss hold on each account by itself, wherever they are set.

    Attributes:
        allowed_symbols: Plain names such as `BTCUSDT`; only these may be opened.
        max_order_notional: Of one order, in its quote currency.
        max_position_notional: Of a position with the open orders that would add to it, in its quote currency.
        max_open_positions: Positions and holdings of one account, with open orders that would make new ones.
        max_orders_per_minute: Orders that open, on one account.
        max_daily_loss: Of an account in its currency, else in US dollars, since midnight UTC, of all the
            accounts together that the rule is about. Reaching it halts the user, account or strategy.
        flatten: A daily loss also closes what is open.
        cancel_on_halt: A halt also cancels open orders that would open or add.
        trading_hours: When orders may open.
        cooldown_s: Seconds between an order that opens and the signal of the next, on one account.
    """

    allowed_symbols: tuple[str, ...] = ()
    max_order_notional: Decimal | None = None
    max_position_notional: Decimal | None = None
    max_open_positions: int | None = None
    max_orders_per_minute: int | None = None
    max_daily_loss: Decimal | None = None
    flatten: bool = False
    cancel_on_halt: bool = True
    trading_hours: tuple[Hours, ...] = ()
    cooldown_s: int | None = None

    @property
    def about_positions(self) -> bool:
        """Checking them takes a look at what the account holds."""
        return self.max_position_notional is not None or self.max_open_positions is not None

    @property
    def about_pace(self) -> bool:
        """Checking them takes the times of earlier orders."""
        return self.max_orders_per_minute is not None or self.cooldown_s is not None


NONE = Rules()


@dataclass(frozen=True, slots=True)
class Opening:
    """An order that would open or add.

    Attributes:
        notional: Quote units.
        position: Quote units of the position it would make, open orders included; None if nobody looked.
        positions: How many positions the account would then have; None if nobody looked.
    """

    notional: Decimal
    position: Decimal | None = None
    positions: int | None = None


def check_signal(rules: Iterable[Rules], symbol: str | None, at: datetime) -> None:
    """Raises NotDoable if no order of this symbol may open now, whatever its size."""
    rules = list(rules)
    if symbol:
        check_symbol(rules, symbol)
    for each in rules:
        if each.trading_hours and not any(hours.hold(at) for hours in each.trading_hours):
            raise NotDoable("outside_trading_hours", at=at.strftime("%a %H:%M"))


def check_symbol(rules: Iterable[Rules], symbol: str) -> None:
    """Raises NotDoable if a symbol may not be opened."""
    if any(each.allowed_symbols and symbol not in each.allowed_symbols for each in rules):
        raise NotDoable("symbol_not_allowed", symbol=symbol)


def check_notional(rules: Iterable[Rules], notional: Decimal) -> None:
    """Raises NotDoable if an order of so many quote units is too large."""
    limit = _lowest(each.max_order_notional for each in rules)
    if limit is not None and notional > limit:
        raise NotDoable("above_max_order", notional=plain(notional), limit=plain(limit))


def check_opening(rules: Sequence[Rules], opening: Opening) -> None:
    """Raises NotDoable if an order would be too large, or make too large or too many positions."""
    check_notional(rules, opening.notional)
    limit = _lowest(each.max_position_notional for each in rules)
    if limit is not None and opening.position is not None and opening.position > limit:
        raise NotDoable("above_max_position", notional=plain(opening.position), limit=plain(limit))
    most = _lowest(each.max_open_positions for each in rules)
    if most is not None and opening.positions is not None and opening.positions > most:
        raise NotDoable("too_many_positions", limit=int(most))


def check_pace(rules: Sequence[Rules], before: Sequence[datetime], now_placed: int, at: datetime) -> None:
    """Raises NotDoable if an order that opens would come too soon.

    Args:
        before: When earlier signals' orders were placed.
        now_placed: How many this signal has placed so far; they do not cool each other down.
    """
    most = _lowest(each.max_orders_per_minute for each in rules)
    if most is not None and sum(each > at - MINUTE for each in before) + now_placed >= most:
        raise NotDoable("orders_too_fast", limit=int(most))
    wait = max((each.cooldown_s or 0 for each in rules), default=0)
    since = (at - max(before)).total_seconds() if before else None
    if wait and since is not None and since < wait:
        raise NotDoable("cooling_down", seconds=max(1, round(wait - since)), limit=wait)


def rules_from_item(control: dict[str, Any] | None) -> Rules:
    """The rules in an item of the table `risk`."""
    return Rules.model_validate((control or {}).get("rules") or {})


def plain(amount: Decimal) -> str:
    """An amount as people write it."""
    return f"{amount.normalize():f}"


def _lowest(limits: Iterable[Any]) -> Any:
    return min((limit for limit in limits if limit is not None), default=None)
