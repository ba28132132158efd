"""A plain reference of the journal, in exact fractions: trades out of fills, and figures out of trades."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

F = Fraction


@dataclass
class Open:
    """One strategy's part of a position: every fill that belongs to it, with its share of the fee."""

    side: int
    legs: list[tuple[Fraction, Fraction, Fraction]] = field(
        default_factory=list
    )  # signed quantity, price, fee

    @property
    def size(self) -> Fraction:
        return sum((quantity for quantity, _, _ in self.legs), F(0)) * self.side


@dataclass(frozen=True)
class Trade:
    strategy: str
    side: str
    quantity: Fraction
    entry_price: Fraction
    exit_price: Fraction
    fees: Fraction
    gross_profit: Fraction

    @property
    def net_profit(self) -> Fraction:
        return self.gross_profit - self.fees


@dataclass(frozen=True)
class Fill:
    strategy: str
    quantity: Fraction
    price: Fraction
    fee: Fraction


def trades(fills: Sequence[Fill]) -> tuple[list[Trade], dict[str, Open]]:
    """Returns the round trips of one symbol on one account, in the order of their end, and what is open."""
    lots: dict[str, Open] = {}
    found = []
    for fill in fills:
        rest, sign = abs(fill.quantity), 1 if fill.quantity > 0 else -1
        fee_of_one = fill.fee / abs(fill.quantity)
        for name in dict.fromkeys([fill.strategy, "", *sorted(lots)]):
            lot = lots.get(name)
            if lot is None or lot.side == sign or not rest:
                continue
            taken = min(rest, lot.size)
            lot.legs.append((sign * taken, fill.price, taken * fee_of_one))
            rest -= taken
            if not lot.size:
                found.append(_closed(name, lots.pop(name)))
        if rest:
            lot = lots.setdefault(fill.strategy, Open(sign))
            lot.legs.append((sign * rest, fill.price, rest * fee_of_one))
    return found, lots


def _closed(strategy: str, lot: Open) -> Trade:
    entries = [(abs(q), price) for q, price, _ in lot.legs if q * lot.side > 0]
    exits = [(abs(q), price) for q, price, _ in lot.legs if q * lot.side < 0]
    quantity = sum((q for q, _ in entries), F(0))
    bought = sum((q * price for q, price in entries), F(0))
    sold = sum((q * price for q, price in exits), F(0))
    return Trade(
        strategy=strategy,
        side="long" if lot.side > 0 else "short",
        quantity=quantity,
        entry_price=bought / quantity,
        exit_price=sold / quantity,
        fees=sum((fee for _, _, fee in lot.legs), F(0)),
        gross_profit=lot.side * (sold - bought),
    )


@dataclass(frozen=True)
class Result:
    """A closed trade, as far as figures need it."""

    day: int
    gross: Fraction
    fees: Fraction

    @property
    def net(self) -> Fraction:
        return self.gross - self.fees


def performance(results: Sequence[Result], last_day: int) -> dict[str, Fraction | int | None]:
    """Returns the figures of trades in the order of their end, from the trades themselves."""
    nets = [each.net for each in results]
    wins, losses = [net for net in nets if net > 0], [-net for net in nets if net < 0]
    curve = [F(0)]
    for net in nets:
        curve.append(curve[-1] + net)
    runs = _runs(nets)
    return {
        "trades": len(nets),
        "wins": len(wins),
        "losses": len(losses),
        "win_rate": F(len(wins), len(nets)) if nets else None,
        "profit_factor": sum(wins, F(0)) / sum(losses) if losses else None,
        "expectancy": sum(nets, F(0)) / len(nets) if nets else None,
        "gross_profit": sum((each.gross for each in results), F(0)),
        "fees": sum((each.fees for each in results), F(0)),
        "net_profit": curve[-1],
        "average_win": sum(wins, F(0)) / len(wins) if wins else None,
        "average_loss": sum(losses, F(0)) / len(losses) if losses else None,
        "largest_win": max(wins, default=F(0)),
        "largest_loss": max(losses, default=F(0)),
        "max_drawdown": max(max(curve[: n + 1]) - curve[n] for n in range(len(curve))),
        "drawdown_days": _longest_below(results, last_day),
        "longest_win_streak": max((length for sign, length in runs if sign > 0), default=0),
        "longest_loss_streak": max((length for sign, length in runs if sign < 0), default=0),
        "current_streak": runs[-1][0] * runs[-1][1] if runs else 0,
    }


def _runs(nets: Sequence[Fraction]) -> list[tuple[int, int]]:
    """Returns sign and length of each series of results of one sign."""
    found: list[tuple[int, int]] = []
    for net in nets:
        sign = (net > 0) - (net < 0)
        if found and found[-1][0] == sign and sign:
            found[-1] = (sign, found[-1][1] + 1)
        else:
            found.append((sign, 1))
    return found


def _longest_below(results: Sequence[Result], last_day: int) -> int:
    """Returns the most days in a row whose result at the end of the day is below the highest before."""
    ends = {day: sum((each.net for each in results if each.day <= day), F(0)) for day in range(last_day + 1)}
    longest = length = 0
    for day, net in ends.items():
        peak = max((F(0), *(ends[earlier] for earlier in range(day))))
        length = length + 1 if net < peak else 0
        longest = max(longest, length)
    return longest


def daily_returns(results: Sequence[Result], capital: Fraction) -> list[Fraction]:
    """Returns the return of each day from the first with a trade to the last."""
    days = [each.day for each in results]
    found = []
    for day in range(min(days), max(days) + 1):
        net = sum((each.net for each in results if each.day == day), F(0))
        found.append(net / capital)
        capital += net
    return found
