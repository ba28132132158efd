"""Every minute: completes work that a crash interrupted, and reports missing signals."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.audit import chain
from chalicelib.events import publish
from chalicelib.execution import queue_flatten
from chalicelib.journal import add_up
from chalicelib.risk.announce_halt import announce_halt
from chalicelib.signals import expected_signals, sweep
from chalicelib.telemetry import Metric, log, measure

_SETTLED_BY_NOW = timedelta(seconds=30)


def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Queues stored signals, checks expected signals, publishes leftover events, adds up leftover trades."""
    now = datetime.now(UTC)
    signals = sweep.requeue(_SETTLED_BY_NOW, now)
    measure(Metric.SIGNALS_SWEPT, signals)
    silent = expected_signals.silent_strategies(now)
    measure(Metric.SILENT_STRATEGIES, len(silent))
    if silent:
        log.warning(
            "strategies silent",
            extra={"strategies": [f"{each['user_id']}/{each['group_name']}" for each in silent]},
        )
    notified, events = (
        announce_halt(now, queue_flatten.cancel_entries_of),
        publish.sweep(_SETTLED_BY_NOW, now),
    )
    return {
        "signals": signals,
        "silent": len(silent),
        "notified": notified,
        "events": events,
        "trades": add_up.sweep(_SETTLED_BY_NOW, now),
        "linked": chain.link(now),
    }
