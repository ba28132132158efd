"""The cost of a deployment on AWS.

`python -m infra.cost` computes it from `cost.yaml` and the memory in `stack.yaml`.

Prints the table of docs/cost.md. `--write` updates the page.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra import stack

SOURCE = Path(__file__).with_name("cost.yaml")
PAGE = stack.ROOT / "docs" / "cost.md"
BEGIN, END = "<!-- computed by infra/cost.py -->\n", "<!-- end -->\n"
_BATCHED = {"event", "message"}  # steps whose invocations take several items at once

Figures = Mapping[str, Any]


def monthly(figures: Figures, size: Figures, described: stack.Stack) -> dict[str, float]:
    """Returns dollars a month for one size of deployment, by price item."""
    prices = figures["prices"]
    used = {
        name: max(0.0, amount - prices["free"].get(name, 0))
        for name, amount in _used(figures, size, described).items()
    }
    costs = {
        name: amount * prices["per_million"][name] / 1e6
        for name, amount in used.items()
        if name in prices["per_million"]
    }
    costs |= {
        name: amount * prices["per_unit"][name] for name, amount in used.items() if name in prices["per_unit"]
    }
    assert costs.keys() == used.keys(), f"without a price: {used.keys() - costs.keys()}"
    return costs


def per_million(figures: Figures, size: Figures, described: stack.Stack) -> dict[str, float]:
    """Returns dollars per million signals at that size, idle cost included."""
    return {name: cost * 1e6 / size["signals"] for name, cost in monthly(figures, size, described).items()}


def _used(figures: Figures, size: Figures, described: stack.Stack) -> dict[str, float]:
    """Returns the monthly usage of each price item."""
    signals = size["signals"]
    accounts = signals * size["accounts_per_signal"]
    trades = accounts * figures["trades_per_account"]
    numbers = {"per_signal": signals, "per_account": accounts, "per_trade": trades}
    events = sum(numbers[name] * each for name, each in figures["events"].items())
    runs = {
        "signal": signals,
        "account": accounts,
        "trade": trades,
        "event": events,
        "message": events * 2,  # the user's stream and the admins'
        "dashboard": events * size["dashboards"],
        "delivery": events * size["webhooks"],
    }
    used: dict[str, float] = defaultdict(float)
    for step in figures["steps"].values():
        times = runs[step["for"]]
        for name, amount in step.items():
            if name in figures["prices"]["per_million"]:
                together = size["batch"] if name == "sqs_fifo_request" and step["for"] in _BATCHED else 1
                used[name] += times * amount / together
        used["log_gb"] += times * step.get("log_kb", 0) / 1e6
        if function := step.get("function"):
            invocations = times / (size["batch"] if step["for"] in _BATCHED else 1)
            used["lambda_request"] += invocations
            waiting = size["wait_ms"] if step["for"] == "signal" else 0
            used["lambda_gb_s"] += (
                times * (step["ms"] + waiting) / 1000 * described.source.functions[function].memory_mb / 1024
            )
    used["trace"] += signals * size["traced"]
    used["websocket_minute"] += size["dashboard_hours"] * 60
    _add_standing(used, figures, size, described)
    return dict(used)


def _add_standing(used: dict[str, float], figures: Figures, size: Figures, described: stack.Stack) -> None:
    """Adds the fixed usage, and the storage of the tables."""
    idle, kept = figures["idle"], figures["kept_kb"]
    fifo = sum(queue.definition.fifo for queue in described.queues.values())
    used["sqs_fifo_request"] += fifo * idle["polls_per_queue"]
    used["sqs_request"] += (len(described.queues) - fifo) * idle["polls_per_queue"]
    scheduled = [
        function
        for function in described.functions.values()
        if any(trigger.schedule for trigger in function.triggers)
    ]
    used["schedule"] += len(scheduled) * idle["schedule_runs"]
    used["lambda_request"] += len(scheduled) * idle["schedule_runs"]
    for function in scheduled:
        used["lambda_gb_s"] += (
            idle["schedule_runs"] * idle["schedule_ms"] / 1000 * function.definition.memory_mb / 1024
        )
    gigabytes = (
        size["signals"]
        * (kept["per_signal"] + kept["per_account"] * size["accounts_per_signal"])
        * kept["months"]
        / 1e6
    )
    used["table_gb_month"] += gigabytes
    used["backup_gb_month"] += gigabytes
    used["kms_key_month"] += len(described.source.keys)
    used["alarm_month"] += size["alarms"]
    used["metric_month"] += size["metrics"]
    used["dashboard_month"] += 1
    used["nat_month"] += size["nat_gateways"]
    if size["waf"]:
        used["waf_month"] += 1
        used["waf_request"] += size["signals"]


GROUPS = {
    "API Gateway": ("rest_request", "websocket_message", "websocket_minute"),
    "Lambda": ("lambda_request", "lambda_gb_s"),
    "SQS": ("sqs_fifo_request", "sqs_request"),
    "SNS": ("sns_fifo_publish", "sns_fifo_delivery"),
    "DynamoDB": ("dynamodb_write", "dynamodb_read", "table_gb_month", "backup_gb_month"),
    "Logs, metrics, traces, alarms": ("log_gb", "metric_month", "trace", "alarm_month", "dashboard_month"),
    "Key, schedules": ("kms_key_month", "kms_request", "schedule"),
    "Firewall, fixed address": ("waf_month", "waf_request", "nat_month"),
}


def table(figures: Figures, described: stack.Stack) -> str:
    """Returns the page's table: dollars per million signals and per month, at each size."""
    sizes = figures["sizes"]
    columns = {name: per_million(figures, size, described) for name, size in sizes.items()}
    lines = [
        "| dollars per million signals | " + " | ".join(sizes) + " |",
        "|---|" + "---:|" * len(sizes),
        "| signals a month | " + " | ".join(f"{size['signals']:,}" for size in sizes.values()) + " |",
        "| accounts per signal | "
        + " | ".join(str(size["accounts_per_signal"]) for size in sizes.values())
        + " |",
    ]
    lines += [
        f"| {group} | "
        + " | ".join(f"{sum(costs.get(name, 0) for name in names):,.2f}" for costs in columns.values())
        + " |"
        for group, names in GROUPS.items()
    ]
    lines.append(
        "| **per million signals** | "
        + " | ".join(f"**{sum(costs.values()):,.2f}**" for costs in columns.values())
        + " |"
    )
    per_order = {
        name: sum(costs.values()) / sizes[name]["accounts_per_signal"] for name, costs in columns.items()
    }
    lines.append("| per million orders | " + " | ".join(f"{cost:,.2f}" for cost in per_order.values()) + " |")
    months = {name: sum(monthly(figures, size, described).values()) for name, size in sizes.items()}
    lines.append("| **per month** | " + " | ".join(f"**{cost:,.2f}**" for cost in months.values()) + " |")
    return "\n".join(lines) + "\n"


def load() -> Figures:
    """Returns the figures of cost.yaml."""
    figures: Figures = yaml.safe_load(SOURCE.read_text())
    return figures


def page(text: str, computed: str) -> str:
    """Returns the page with the computed table in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + computed + END + after


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.cost", description="Compute the cost of a deployment on AWS."
    )
    parser.add_argument("--write", action="store_true", help="write the table into docs/cost.md")
    computed = table(load(), stack.load())
    if parser.parse_args().write:
        PAGE.write_text(page(PAGE.read_text(), computed))
    else:
        print(computed, end="")


if __name__ == "__main__":
    main()
