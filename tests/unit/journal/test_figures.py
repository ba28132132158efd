"""Figures out of daily totals, compared with a plain reference that looks at the trades themselves."""

import math
import statistics
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.journal.figures import Totals, daily_returns, figures, joined, total, totals_of
from chalicelib.journal.models import Trade
from chalicelib.journal.slippage import added, counts_of, percentile
from tests.reference import journal as reference

D, F = Decimal, Fraction
FIRST = date(2026, 1, 1)


def trade(net: str, *, day: int = 0, fees: str = "0", hours: int | None = 1, bps: str | None = None) -> Trade:
    closed = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
    return Trade(
        trade_id="t",
        user_id="1",
        account_id="1",
        exchange="paper",
        market_type="spot",
        symbol="BTCUSDT",
        strategy=None,
        side="long",
        quantity=D(1),
        entry_price=D(100),
        exit_price=D(100),
        fees=D(fees),
        other_fees={},
        gross_profit=D(net) + D(fees),
        net_profit=D(net),
        currency="USDT",
        slippage_bps=None if bps is None else D(bps),
        order_id="o",
        opened_at=None if hours is None else closed - timedelta(hours=hours),
        closed_at=closed,
    )


def by_day(*trades: Trade) -> dict[date, Totals]:
    days: dict[date, Totals] = {}
    for each in trades:
        day = each.closed_at.date()
        days[day] = joined(days.get(day, Totals()), totals_of(each))
    return days


def test_what_trades_come_to() -> None:
    """+100, −50, +30, −80, −10 on three days."""
    nets = [("100", 0), ("-50", 0), ("30", 1), ("-80", 3), ("-10", 3)]
    found = figures(
        by_day(*(trade(net, day=day, fees="1", bps="4") for net, day in nets)), date(2026, 1, 6), None
    )
    assert found == {
        "trades": 5,
        "wins": 2,
        "losses": 3,
        "win_rate": D("0.4"),
        "profit_factor": D("0.928571428571"),
        "expectancy": D(-2),
        "gross_profit": D(-5),
        "fees": D(5),
        "net_profit": D(-10),
        "average_win": D(65),
        "average_loss": D("46.666666666667"),
        "largest_win": D(100),
        "largest_loss": D(80),
        "max_drawdown": D(110),
        "drawdown_days": 3,
        "sharpe": None,
        "sortino": None,
        "longest_win_streak": 1,
        "longest_loss_streak": 2,
        "current_streak": -2,
        "average_duration_s": D(3600),
        "average_slippage_bps": D(4),
        "slippage_p50_bps": D("3.941"),
        "slippage_p90_bps": D("3.941"),
        "slippage_p99_bps": D("3.941"),
    }


def test_nothing_comes_to_nothing() -> None:
    """No figure is invented without trades, nor a factor without losses."""
    empty = figures({}, FIRST, D(1000))
    assert (empty["trades"], empty["win_rate"], empty["max_drawdown"], empty["sharpe"]) == (0, None, 0, None)
    won = figures(by_day(trade("5", hours=None)), FIRST, D(1000))
    assert (won["profit_factor"], won["average_loss"], won["average_duration_s"]) == (None, None, None)


def test_ratios_need_a_capital_that_lasts() -> None:
    """Returns of days without trades are 0. Without capital, or with it used up, there is no return."""
    days = by_day(trade("10"), trade("-22", day=2))
    assert daily_returns(days, D(100)) == [D("0.1"), 0, D("-0.2")]
    assert (
        daily_returns(days, None) is daily_returns(by_day(trade("-100"), trade("1", day=1)), D(100)) is None
    )


RESULTS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(-3000, 3000), st.integers(0, 200)), max_size=40
).map(sorted)


@given(RESULTS, st.integers(0, 3))
def test_equals_the_reference(rows: list[tuple[int, int, int]], later: int) -> None:
    """Random trades: every figure, though the totals have forgotten the trades."""
    results = [reference.Result(day, F(gross, 100), F(fees, 100)) for day, gross, fees in rows]
    trades = [
        trade(f"{D(gross - fees) / 100}", day=day, fees=f"{D(fees) / 100}") for day, gross, fees in rows
    ]
    last = 9 + later
    found = figures(by_day(*trades), FIRST + timedelta(days=last), None)
    for name, expected in reference.performance(results, last).items():
        if expected is None:
            assert found[name] is None, name
        else:
            assert abs(F(found[name]) - expected) < F("1e-9"), name


@given(RESULTS.filter(bool), st.integers(1000, 100_000))
def test_ratios_equal_those_of_the_textbook(rows: list[tuple[int, int, int]], capital: int) -> None:
    """Sharpe: mean by sample deviation. Sortino: mean by the root mean square of losses. Both times √365."""
    results = [reference.Result(day, F(gross, 100), F(fees, 100)) for day, gross, fees in rows]
    trades = [
        trade(f"{D(gross - fees) / 100}", day=day, fees=f"{D(fees) / 100}") for day, gross, fees in rows
    ]
    found = figures(by_day(*trades), FIRST + timedelta(days=9), D(capital))
    steps = list(accumulate((each.net for each in results), initial=F(capital)))
    if min(steps) <= 0:
        return
    returns = [float(each) for each in reference.daily_returns(results, F(capital))]
    deviation = statistics.stdev(returns) if len(returns) > 1 else 0
    losses = math.sqrt(sum(each**2 for each in returns if each < 0) / len(returns))
    for name, risk in (("sharpe", deviation), ("sortino", losses)):
        if len(returns) > 1 and risk > 1e-12:
            expected = statistics.fmean(returns) / risk * math.sqrt(365)
            assert math.isclose(float(found[name]), expected, rel_tol=1e-6, abs_tol=1e-9), name
        else:
            assert found[name] is None or risk > 0


@given(st.lists(st.integers(-5, 5), max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_totals_add_up_wherever_they_are_cut(nets: list[int], first: int, second: int) -> None:
    """Days, weeks and periods are the same sums."""
    one, two = sorted((first, second))
    parts = [totals_of(trade(str(net))) for net in nets]
    assert joined(total(parts[:one]), joined(total(parts[one:two]), total(parts[two:]))) == total(parts)


@given(st.lists(st.decimals(-5000, 5000, places=2), min_size=1, max_size=60), st.integers(0, 60))
def test_percentiles_of_slippage(values: list[D], cut: int) -> None:
    """At most 2.5 % away from the exact ones, and the same wherever the trades are cut."""
    parts = [counts_of(each) for each in values]
    left: dict[str, int] = {}
    right: dict[str, int] = {}
    for part in parts[:cut]:
        left = added(left, part)
    for part in parts[cut:]:
        right = added(right, part)
    counts = added(left, right)
    for percent in (50, 90, 99):
        exact = sorted(values)[math.ceil(len(values) * percent / 100) - 1]
        found = percentile(counts, percent)
        assert found is not None
        assert abs(found - exact) <= abs(exact) * D("0.0252") + D("0.0001")
    assert percentile({}, 50) is None
