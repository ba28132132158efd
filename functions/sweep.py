"""Each minute: what a crash left half done is done."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.events import publish
from chalicelib.signals import sweep
from chalicelib.telemetry import Metric, measure

_SETTLED_BY_NOW = timedelta(seconds=30)


def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Sends signals that were stored but not queued, publishes events that were written but not published."""
    now = datetime.now(UTC)
    signals = sweep.requeue(_SETTLED_BY_NOW, now)
    measure(Metric.SIGNALS_SWEPT, signals)
    return {"signals": signals, "events": publish.sweep(_SETTLED_BY_NOW, now)}
