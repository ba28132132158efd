"""Round trips out of fills, compared with a plain reference in exact fractions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.journal.round_trips import Closed, Fill, Lot, apply_fill
from tests.reference import journal as reference

D, F = Decimal, Fraction
NOW = datetime(2026, 1, 22, 15, 30, tzinfo=UTC)
CENT = D("0.01")


def fill(
    quantity: str, price: str, strategy: str = "", *, order_id: str = "o", minute: int = 0, **more: object
) -> Fill:
    at = NOW + timedelta(minutes=minute)
    return Fill(order_id, "BTCUSDT", strategy, D(quantity), D(price), at, **more)  # type: ignore[arg-type]


def run(*fills: Fill, dust: D = CENT * 0) -> tuple[list[Lot], list[Closed]]:
    """Books fills one after the other."""
    lots: list[Lot] = []
    closed: list[Closed] = []
    for each in fills:
        held = sum((lot.side * lot.left for lot in lots), D(0))
        lots, ended = apply_fill(lots, each, held, None, dust)
        closed += ended
    return lots, closed


def test_a_partial_exit_is_no_trade_yet() -> None:
    """A trade ends when its position does. Its prices are averages over all fills."""
    first, second = fill("1", "100", fee=D("0.1")), fill("1", "110", fee=D("0.11"))
    lots, closed = run(first, second, fill("-1.5", "120", fee=D("0.18")))
    assert (closed, lots[0].left) == ([], D("0.5"))
    _, [trade] = run(
        first, second, fill("-1.5", "120", fee=D("0.18")), fill("-0.5", "90", fee=D("0.05"), minute=5)
    )
    assert (trade.lot.gross_profit, trade.lot.fees) == (D("15.0"), D("0.44"))
    assert (trade.lot.opened_at, trade.closed_at) == (NOW, NOW + timedelta(minutes=5))


def test_a_reversal_closes_one_trade_and_opens_another() -> None:
    """Its fee is divided by quantity."""
    lots, [trade] = run(fill("1", "100"), fill("-3", "110", order_id="r", fee=D("0.33")))
    assert (trade.lot.side, trade.lot.gross_profit, trade.lot.fees, trade.order_id) == (1, 10, D("0.11"), "r")
    assert [(lot.side, lot.left, lot.entry_value, lot.fees) for lot in lots] == [(-1, 2, 220, D("0.22"))]
    _, [_, short] = run(fill("1", "100"), fill("-3", "110"), fill("2", "105"))
    assert (short.lot.side, short.lot.gross_profit) == (-1, 10)


def test_strategies_have_trades_of_their_own() -> None:
    """A strategy closes its own lot first, then the one without a strategy, then others'."""
    lots, closed = run(fill("1", "100", "a"), fill("1", "200", "b"), fill("-1", "300", "b"))
    assert [(each.lot.strategy, each.lot.gross_profit) for each in closed] == [("b", 100)]
    _, closed = run(fill("1", "100", "a"), fill("1", "200"), fill("-2", "300", "c"))
    assert [(each.lot.strategy, each.lot.gross_profit) for each in closed] == [("", 100), ("a", 200)]
    assert [lot.strategy for lot in lots] == ["a"]


def test_many_strategies_share_a_lot() -> None:
    """So that one order closes a few trades at most, whatever shares the position."""
    lots, _ = run(*(fill("1", "100", f"s{number}") for number in range(9)))
    assert sorted((lot.strategy, lot.left) for lot in lots) == [("", 5), *((f"s{n}", 1) for n in range(4))]
    _, closed = run(*(fill("1", "100", f"s{number}") for number in range(9)), fill("-9", "101", "s0"))
    assert sum((each.lot.gross_profit for each in closed), D(0)) == 9


def test_slippage_is_what_the_fills_cost_against_the_signals() -> None:
    """Positive if bought dearer or sold cheaper, weighted by value, and unknown without a signal's price."""
    _, [trade] = run(fill("1", "100.1", signal_price=D(100)), fill("-1", "199.8", signal_price=D(200)))
    assert trade.lot.slippage_bps == D("10.00")
    _, [better] = run(fill("-1", "101", signal_price=D(100)), fill("1", "100", signal_price=None))
    assert better.lot.slippage_bps == D("-100.00")
    _, [unknown] = run(fill("1", "100"), fill("-1", "101"))
    assert unknown.lot.slippage_bps is None


def test_fees_of_unknown_value_stay_apart() -> None:
    """Neither lost nor added to fees of another currency."""
    _, [trade] = run(
        fill("1", "100", other_fees={"BNB": D("0.001")}),
        fill("-1", "110", other_fees={"BNB": D("0.002"), "X": None}),
    )
    assert (trade.lot.fees, trade.lot.other_fees) == (0, {"BNB": D("0.003"), "X": None})


def test_a_position_older_than_the_journal() -> None:
    """It counts with its average price. When it was opened is not known."""
    lots, [trade] = apply_fill([], fill("-2", "110", "a"), D(2), D(100))
    assert (lots, trade.lot.gross_profit, trade.lot.opened_at, trade.lot.strategy) == ([], 20, None, "")
    _, closed = apply_fill([], fill("-2", "110"), D(2), None)
    assert closed == []  # nothing can be said without a price


@pytest.mark.parametrize("left", ["0", "0.00009"])
def test_less_than_a_step_counts_as_closed(left: str) -> None:
    """A fee taken in the asset leaves less than can be sold. One step is a position."""
    lots, closed = run(fill("1", "100"), fill(str(D(left) - 1), "110"), dust=D("0.0001"))
    assert (lots, len(closed)) == ([], 1)
    lots, closed = run(fill("1", "100"), fill("-0.9999", "110"), dust=D("0.0001"))
    assert ([lot.left for lot in lots], closed) == ([D("0.0001")], [])


FILLS = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b"]),
        st.integers(-5, 5).filter(bool).map(lambda n: D(n) / 10),
        st.integers(5_000, 15_000).map(lambda n: D(n) / 100),
        st.integers(0, 300).map(lambda n: D(n) / 100),
    ),
    max_size=40,
)


@given(FILLS)
def test_equals_the_reference(given_fills: list[tuple[str, D, D, D]]) -> None:
    """Random fills: the same trades in the same order, to the cent, and the same open position."""
    fills = [fill(str(q), str(price), name, fee=fee) for name, q, price, fee in given_fills]
    lots, closed = run(*fills)
    plain = [reference.Fill(name, F(q), F(price), F(fee)) for name, q, price, fee in given_fills]
    expected, still_open = reference.trades(plain)
    assert {lot.strategy: (lot.side, F(lot.left)) for lot in lots} == {
        name: (lot.side, lot.size) for name, lot in still_open.items()
    }
    assert len(closed) == len(expected)
    for mine, theirs in zip(closed, expected, strict=True):
        lot = mine.lot
        assert (lot.strategy, lot.side) == (theirs.strategy, 1 if theirs.side == "long" else -1)
        assert F(lot.entered) == theirs.quantity
        assert F(lot.gross_profit) == theirs.gross_profit
        assert abs(F(lot.fees) - theirs.fees) < F("1e-9")
        assert abs(F(lot.entry_value / lot.entered) - theirs.entry_price) < F("1e-9")
        assert abs(F(lot.exit_value / lot.exited) - theirs.exit_price) < F("1e-9")
    fees = sum((each.lot.fees for each in closed), D(0)) + sum((lot.fees for lot in lots), D(0))
    assert fees == sum((fee for *_, fee in given_fills), D(0))
