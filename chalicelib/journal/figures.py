"""Figures of trades: sums that add up, and what they come to. Pure functions.

docs/journal.md has the definitions and their sources.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from chalicelib.exchanges.wire import rounded
from chalicelib.journal import slippage
from chalicelib.journal.models import Trade

PERCENTILES = (50, 90, 99)
"""Of slippage."""

_ZERO = Decimal(0)
_DAYS_A_YEAR = 365  # crypto trades every day


class Totals(BaseModel):
    """What a sequence of trades adds up to. Those of two sequences give those of both, see `joined`.

    Attributes:
        won, lost: Sums of the positive and of the negative net results, both positive.
        peak, trough: Highest and lowest sum of net results on the way, counted from 0 before the first trade.
        drawdown: Largest fall from a peak.
        first_run, last_run: Lengths of the first and last series of wins, or of losses as negative numbers.
        timed: Number of trades whose time of opening is known.
        seconds: How long these were open.
        slipped: Sum of their slippage, basis points.
        priced: Number of trades whose slippage is known.
        slippage: Their counts by size, see `slippage.py`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    trades: int = 0
    wins: int = 0
    losses: int = 0
    won: Decimal = _ZERO
    lost: Decimal = _ZERO
    gross: Decimal = _ZERO
    fees: Decimal = _ZERO
    largest_win: Decimal = _ZERO
    largest_loss: Decimal = _ZERO
    peak: Decimal = _ZERO
    trough: Decimal = _ZERO
    drawdown: Decimal = _ZERO
    first_run: int = 0
    last_run: int = 0
    longest_wins: int = 0
    longest_losses: int = 0
    timed: int = 0
    seconds: Decimal = _ZERO
    slipped: Decimal = _ZERO
    priced: int = 0
    slippage: dict[str, int] = {}

    @property
    def net(self) -> Decimal:
        """The sum of the net results."""
        return self.won - self.lost


_SUMS = ("trades", "wins", "losses", "won", "lost", "gross", "fees", "timed", "seconds", "slipped", "priced")
_MAXIMA = ("largest_win", "largest_loss", "longest_wins", "longest_losses")


def totals_of(trade: Trade) -> Totals:
    """Returns the totals of one trade."""
    net = trade.net_profit
    won, lost = max(net, _ZERO), max(-net, _ZERO)
    run = 1 if won else -1 if lost else 0
    opened = trade.opened_at
    return Totals(
        trades=1,
        wins=int(run > 0),
        losses=int(run < 0),
        won=won,
        lost=lost,
        gross=trade.gross_profit,
        fees=trade.fees,
        largest_win=won,
        largest_loss=lost,
        peak=won,
        trough=-lost,
        drawdown=lost,
        first_run=run,
        last_run=run,
        longest_wins=int(run > 0),
        longest_losses=int(run < 0),
        timed=int(opened is not None),
        seconds=_seconds(trade.closed_at - opened) if opened else _ZERO,
        slipped=trade.slippage_bps or _ZERO,
        priced=int(trade.slippage_bps is not None),
        slippage=slippage.counts_of(trade.slippage_bps),
    )


def joined(first: Totals, second: Totals) -> Totals:
    """Returns the totals of two sequences, one after the other."""
    fields: dict[str, Any] = {name: getattr(first, name) + getattr(second, name) for name in _SUMS}
    fields |= {name: max(getattr(first, name), getattr(second, name)) for name in _MAXIMA}
    fields |= {
        "peak": max(first.peak, first.net + second.peak),
        "trough": min(first.trough, first.net + second.trough),
        "drawdown": max(first.drawdown, second.drawdown, first.peak - first.net - second.trough),
        "slippage": slippage.added(first.slippage, second.slippage),
    }
    # Where the last series of the first and the first of the second are of one kind, they are one series.
    meeting = first.last_run + second.first_run if first.last_run * second.first_run > 0 else 0
    fields["longest_wins"] = max(fields["longest_wins"], meeting)
    fields["longest_losses"] = max(fields["longest_losses"], -meeting)
    whole_first, whole_second = abs(first.first_run) == first.trades, abs(second.last_run) == second.trades
    fields["first_run"] = (meeting or first.first_run) if whole_first and first.trades else first.first_run
    fields["last_run"] = (meeting or second.last_run) if whole_second and second.trades else second.last_run
    if not first.trades:
        fields["first_run"] = second.first_run
    if not second.trades:
        fields["last_run"] = first.last_run
    return Totals.model_construct(**fields)  # sums of what was validated: an answer joins hundreds


def total(parts: Iterable[Totals]) -> Totals:
    """Returns the totals of many sequences, one after the other."""
    found = Totals()
    for part in parts:
        found = joined(found, part)
    return found


def figures(days: Mapping[date, Totals], until: date, capital: Decimal | None) -> dict[str, Any]:
    """Returns the figures of a period.

    Args:
        days: The totals of each day with trades, oldest first.
        until: The last day of the period. A drawdown that has not been made good lasts until then.
        capital: What was there before the first day, for returns. None if unknown.
    """
    found = total(days.values())
    trades, net = found.trades, found.net
    sharpe, sortino = _ratios(days, capital)
    return {
        "trades": trades,
        "wins": found.wins,
        "losses": found.losses,
        "win_rate": _ratio(Decimal(found.wins), trades),
        "profit_factor": _ratio(found.won, found.lost),
        "expectancy": _ratio(net, trades),
        "gross_profit": found.gross,
        "fees": found.fees,
        "net_profit": net,
        "average_win": _ratio(found.won, found.wins),
        "average_loss": _ratio(found.lost, found.losses),
        "largest_win": found.largest_win,
        "largest_loss": found.largest_loss,
        "max_drawdown": found.drawdown,
        "drawdown_days": _drawdown_days(days, until),
        "sharpe": sharpe,
        "sortino": sortino,
        "longest_win_streak": found.longest_wins,
        "longest_loss_streak": found.longest_losses,
        "current_streak": found.last_run,
        "average_duration_s": _ratio(found.seconds, found.timed),
        "average_slippage_bps": _ratio(found.slipped, found.priced),
        **{f"slippage_p{each}_bps": slippage.percentile(found.slippage, each) for each in PERCENTILES},
    }


def _ratio(value: Decimal, by: Decimal | int) -> Decimal | None:
    return rounded(value / by) if by else None


def _seconds(duration: timedelta) -> Decimal:
    return Decimal(duration // timedelta(microseconds=1)) / 1_000_000


def _drawdown_days(days: Mapping[date, Totals], until: date) -> int:
    """Returns the longest time below a peak, in days, by the results at the end of each day."""
    longest, net, peak = 0, _ZERO, _ZERO
    since: date | None = None
    for day, totals in days.items():
        net += totals.net
        if since is not None:
            longest = max(longest, (day - since).days)
        if net >= peak:
            peak, since = net, None
        elif since is None:
            since = day
    return max(longest, (until - since).days + 1) if since is not None else longest


def _ratios(days: Mapping[date, Totals], capital: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """Returns the Sharpe and the Sortino ratio of the daily returns, per year. None if undefined."""
    returns = daily_returns(days, capital)
    if returns is None or len(returns) < 2:  # noqa: PLR2004 - a deviation needs two values
        return None, None
    mean = sum(returns, _ZERO) / len(returns)
    deviation = (sum(((each - mean) ** 2 for each in returns), _ZERO) / (len(returns) - 1)).sqrt()
    downside = (sum((each**2 for each in returns if each < 0), _ZERO) / len(returns)).sqrt()
    yearly = Decimal(_DAYS_A_YEAR).sqrt()
    return (
        rounded(mean / deviation * yearly) if deviation else None,
        rounded(mean / downside * yearly) if downside else None,
    )


def daily_returns(days: Mapping[date, Totals], capital: Decimal | None) -> Sequence[Decimal] | None:
    """Returns each day's net result as a share of the capital before it. None if that is unknown or used up.

    From the first day with trades to the last. Days without trades return 0.
    """
    if not days or capital is None:
        return None
    first, last = min(days), max(days)
    returns = []
    for number in range((last - first).days + 1):
        net = days.get(first + timedelta(days=number), Totals()).net
        if capital <= 0:
            return None
        returns.append(net / capital)
        capital += net
    return returns
