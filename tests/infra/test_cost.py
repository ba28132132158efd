"""The cost page says what its figures give."""

from pathlib import Path

import pytest

from infra import cost, stack
from tests.infra import terraform
from tests.infra.terraform import Plan


def test_page_holds_the_computed_table() -> None:
    """`python -m infra.cost --write` updates docs/cost.md after a change of prices, steps or the stack."""
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
    """Every account of a signal adds its share, and not more."""
    figures, described = cost.load(), stack.load()
    size = figures["sizes"]["business"]
    [one, two, three] = [
        sum(cost.monthly(figures, {**size, "accounts_per_signal": accounts}, described).values())
        for accounts in (1, 2, 3)
    ]

    assert one < two < three
    assert abs((three - two) - (two - one)) < 1e-6


def _billed(plan: Plan) -> int:
    """The metrics of the plan's alarms, each of which is billed like an alarm.

    One without queries has one.
    """
    alarms = [resource for resource in plan.resources if resource.type == "aws_cloudwatch_metric_alarm"]
    return sum(
        max(1, sum(bool(query["metric"]) for query in alarm.values["metric_query"])) for alarm in alarms
    )


@pytest.mark.parametrize("size", ["hobbyist", "business"])
def test_alarms_are_those_of_the_plan(tmp_path: Path, release: Path, size: str) -> None:
    """The page counts as many alarms as the example of that size creates."""
    _, plan = terraform.plan(tmp_path, release, f"-var-file=examples/{size}.tfvars")

    assert plan is not None
    assert cost.load()["sizes"][size]["alarms"] == _billed(plan)


def test_schedules_are_not_traced(local_plan: Plan) -> None:
    """Their runs alone would exceed the free traces of a month."""
    modes = {
        str(key): function.values["tracing_config"][0]["mode"]
        for key, function in local_plan.all("aws_lambda_function").items()
    }
    scheduled = {str(key).rpartition("-")[0] for key in local_plan.all("aws_scheduler_schedule")}

    assert {name for name, mode in modes.items() if mode == "PassThrough"} == scheduled
