"""Risk rules: limits that an owner sets for all orders, whatever a signal says. Pure functions.

A rule blocks only orders that open or add. Closing, reducing and cancelling are always allowed: a rule that
kept a user in a position would be a risk of its own.
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
    """A weekly time window in which orders may open, UTC.

    Attributes:
        days: Weekdays on which the window starts.
        start: Time of day, such as `08:00`.
        end: Time of day, such as `16:30`, exclusive. If it is at or before `start`, it is on the next day.
    """

    days: tuple[str, ...] = DAYS
    start: str = "00:00"
    end: str = "00:00"

    def hold(self, at: datetime) -> bool:
        """Returns whether a time is within the window."""
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        now, today, yesterday = at.time().replace(tzinfo=None), DAYS[at.weekday()], DAYS[at.weekday() - 1]
        if start < end:
            return today in self.days and start <= now < end
        return (today in self.days and now >= start) or (yesterday in self.days and now < end)


class Rules(Record):
    """The risk rules of one user, account or strategy. None or an empty list means no rule.

    All rules except the daily loss apply to each account separately, wherever they are set.

    Attributes:
        allowed_symbols: The only symbols that may be opened, by plain name such as `BTCUSDT`.
        max_order_notional: Largest value of an order, quote units.
        max_position_notional: Largest value of a position including open orders that would add to it, quote
            units.
        max_open_positions: Largest number of positions and holdings of one account, including open orders
            that would open new ones.
        max_orders_per_minute: Largest number of opening orders per minute on one account.
        max_daily_loss: Largest loss since midnight UTC. For an account in its currency, else in US dollars
            over all accounts of the user or strategy. Reaching it halts the user, account or strategy.
        flatten: Whether a daily loss also closes open positions.
        cancel_on_halt: Whether a halt also cancels open orders that would open or add.
        trading_hours: When orders may open.
        cooldown_s: Seconds between an opening order and the next signal's opening order, on one account.
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
        """Whether a check needs the account's positions."""
        return self.max_position_notional is not None or self.max_open_positions is not None

    @property
    def about_pace(self) -> bool:
        """Whether a check needs the times of earlier orders."""
        return self.max_orders_per_minute is not None or self.cooldown_s is not None


NONE = Rules()


@dataclass(frozen=True, slots=True)
class Opening:
    """An order that would open or add.

    Attributes:
        notional: Value, quote units.
        position: Value of the resulting position including open orders, quote units. None if not read.
        positions: Resulting number of positions on the account. None if not read.
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
    """Raises NotDoable if an order's value, quote units, is too large."""
    limit = _lowest(each.max_order_notional for each in rules)
    if limit is not None and notional > limit:
        raise NotDoable("above_max_order", notional=plain(notional), limit=plain(limit))


def check_opening(rules: Sequence[Rules], opening: Opening) -> None:
    """Raises NotDoable if an order, the resulting position or the number of positions is too large."""
    check_notional(rules, opening.notional)
    limit = _lowest(each.max_position_notional for each in rules)
    if limit is not None and opening.position is not None and opening.position > limit:
        raise NotDoable("above_max_position", notional=plain(opening.position), limit=plain(limit))
    most = _lowest(each.max_open_positions for each in rules)
    if most is not None and opening.positions is not None and opening.positions > most:
        raise NotDoable("too_many_positions", limit=int(most))


def check_pace(rules: Sequence[Rules], before: Sequence[datetime], now_placed: int, at: datetime) -> None:
    """Raises NotDoable if an opening order would come too soon.

    Args:
        before: When the orders of earlier signals were placed.
        now_placed: Number of orders that this signal has placed so far. They have no cooldown among each
            other.
    """
    most = _lowest(each.max_orders_per_minute for each in rules)
    if most is not None and sum(each > at - MINUTE for each in before) + now_placed >= most:
        raise NotDoable("orders_too_fast", limit=int(most))
    wait = max((each.cooldown_s or 0 for each in rules), default=0)
    since = (at - max(before)).total_seconds() if before else None
    if wait and since is not None and since < wait:
        raise NotDoable("cooling_down", seconds=max(1, round(wait - since)), limit=wait)


def rules_from_item(control: dict[str, Any] | None) -> Rules:
    """Returns the rules in an item of the table `risk`."""
    return Rules.model_validate((control or {}).get("rules") or {})


def plain(amount: Decimal) -> str:
    """Returns an amount in plain decimal notation."""
    return f"{amount.normalize():f}"


def _lowest(limits: Iterable[Any]) -> Any:
    return min((limit for limit in limits if limit is not None), default=None)
