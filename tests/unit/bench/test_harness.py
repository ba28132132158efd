import pytest

from bench.harness import Figure, at_least, at_most, cases, interleaved, report, spread


def test_a_limit_is_on_the_ratio_where_there_is_one() -> None:
    slow = Figure(
        "row",
        "meaning",
        spread([10, 20, 30]),
        "ms",
        baseline=spread([10]),
        ratio=spread([1.0, 2.0, 9.0]),
        limit=at_most(1.5),
    )
    assert slow.kept is False
    assert Figure("row", "meaning", spread([1, 2, 9]), "calls", limit=at_most(3)).kept is True
    assert Figure("row", "meaning", spread([1, 2, 9]), "calls", limit=at_most(3, worst=True)).kept is False
    assert Figure("row", "meaning", spread([1, 2, 9]), "/s", limit=at_least(2)).kept is True
    assert Figure("row", "meaning", spread([1, 2, 9]), "/s", limit=at_least(2, worst=True)).kept is False
    assert Figure("row", "meaning", spread([1]), "/s").kept is None


def test_turns_are_taken_in_changing_order_and_compared_pair_by_pair() -> None:
    done: list[str] = []

    def work(name: str, *figures: float):
        left = iter(figures)

        def once() -> float:
            done.append(name)
            return next(left)

        return once

    turns = interleaved(work("ours", 1, 2, 30, 4), work("baseline", 1, 1, 10, 1), rounds=3)
    assert "".join(name[0] for name in done) == "obobboob"
    assert (turns.ratio.low, turns.ratio.median, turns.ratio.high) == (2, 3, 4)
    assert turns.ours.rounds == 3


def test_turns_end_in_time_but_not_before_three_rounds() -> None:
    assert interleaved(lambda: 1, lambda: 1, rounds=100, until=0).ratio.rounds == 3


def test_what_is_timed_is_in_milliseconds() -> None:
    turns = interleaved(lambda: None, lambda: 5.0, rounds=1)
    assert 0 < turns.ours.median < 5
    assert turns.baseline.median == 5


def test_figures_come_back_from_their_file() -> None:
    figure = Figure(
        "row",
        "meaning",
        spread([1, 2]),
        "ms",
        baseline=spread([1]),
        floor_is="bare",
        ratio=spread([2]),
        limit=at_most(1.3),
    )
    assert Figure.from_json(figure.as_json()) == figure


def test_the_page_takes_the_table_between_its_marks() -> None:
    kept = {"row": {"measured_at": "2026-01-02T03:04:05+00:00", "machine": "a machine", "figures": []}}
    kept["row"]["figures"] = [
        Figure("a figure", "It means.", spread([2]), "ms", limit=at_most(1), grows="not.").as_json()
    ]
    page = report.page(f"before\n{report.BEGIN}old\n{report.END}after\n", report.markdown(kept))
    assert "| **a figure** (`row`). It means. *Grows*: not. | 2 ms |  |  | ≤ 1 ms | **no** |" in page
    assert "old" not in page
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert report.page(page, report.markdown(kept)) == page


@pytest.mark.parametrize("name", cases.names())
def test_every_row_says_what_it_measures_and_how_long_it_takes(name: str) -> None:
    row = cases.load(name)
    assert row.about
    if not row.optional:
        assert 0 < row.budget_s <= 240


def test_all_rows_together_end_in_time() -> None:
    assert sum(row.budget_s for row in map(cases.load, cases.names()) if not row.optional) <= 20 * 60
