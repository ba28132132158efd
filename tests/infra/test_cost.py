"""The cost page says what its figures give."""

from infra import cost, stack


def test_page_holds_the_computed_table() -> None:
    """docs/cost.md is renewed by `python -m infra.cost --write` when prices, steps or the stack have changed."""
    text = cost.PAGE.read_text()

    assert cost.page(text, cost.table(cost.load(), stack.load())) == text


def test_every_cost_is_in_the_table() -> None:
    """The lines of the table add up to its sum: nothing that is paid for is left out."""
    figures, described = cost.load(), stack.load()
    shown = {name for names in cost.GROUPS.values() for name in names}

    for size in figures["sizes"].values():
        assert cost.monthly(figures, size, described).keys() <= shown


def test_steps_belong_to_functions_of_the_stack() -> None:
    """A step that runs on Lambda names a function that stack.yaml describes, whose memory prices it."""
    functions = set(stack.load().source.functions)

    assert {step["function"] for step in cost.load()["steps"].values() if "function" in step} <= functions


def test_more_accounts_cost_more() -> None:
    """Every account that a signal goes to adds its share, and no more than its share."""
    figures, described = cost.load(), stack.load()
    size = figures["sizes"]["business"]
    [one, two, three] = [
        sum(cost.monthly(figures, {**size, "accounts_per_signal": accounts}, described).values()) for accounts in (1, 2, 3)
    ]

    assert one < two < three
    assert abs((three - two) - (two - one)) < 1e-6
