"""Reads the log: metrics in CloudWatch's embedded format, and lines about signals."""

import json
from typing import Any

import pytest


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Returns every JSON line since the last read."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def written(capsys: pytest.CaptureFixture[str], name: str) -> list[tuple[float, dict[str, str]]]:
    """Returns a metric's values since the last read, each with its dimensions besides the service."""
    return values(lines(capsys), name)


def values(output: list[dict[str, Any]], name: str) -> list[tuple[float, dict[str, str]]]:
    """Returns a metric's values in these lines, each with its dimensions besides the service."""
    found = []
    for line in output:
        if name not in line or "_aws" not in line:
            continue
        [definition] = line["_aws"]["CloudWatchMetrics"]
        [dimensions] = definition["Dimensions"]
        assert [metric["Name"] for metric in definition["Metrics"]] == [name]
        [value] = line[name] if isinstance(line[name], list) else [line[name]]
        found.append(
            (value, {dimension: line[dimension] for dimension in dimensions if dimension != "service"})
        )
    return found
