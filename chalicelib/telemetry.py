"""One structured log for every function, and the metrics for alarms. Both are JSON lines without secrets.

The log has identifiers and outcomes, never bodies, headers or credentials. Those are masked in the webhook
log. A line about a signal or its results carries the `signal_id`, from the webhook to the last delivery.

A metric is a line in CloudWatch's embedded metric format
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
A metric calls no AWS API, so it can neither fail nor slow down the measured code.
`infra/terraform/metrics.yaml` describes each metric and its alarms.
"""

import json
import sys
from collections.abc import Mapping
from enum import Enum

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from chalicelib import config

_SERVICE = "tradehook"

log = Logger(service=_SERVICE, log_uncaught_exceptions=True, utc=True)


class Metric(Enum):
    """The metrics: name, unit, and the dimensions that each value has in addition to the service."""

    SIGNALS_ACCEPTED = ("SignalsAccepted", MetricUnit.Count)
    SIGNALS_REFUSED = ("SignalsRefused", MetricUnit.Count)
    ORDERS_SETTLED = ("OrdersSettled", MetricUnit.Count, "exchange")
    SIGNAL_TO_ORDER = ("SignalToOrder", MetricUnit.Milliseconds, "exchange")
    EXCHANGE_ERRORS = ("ExchangeErrors", MetricUnit.Count, "exchange", "class")
    UNLISTED_EXCHANGE_CODES = ("UnlistedExchangeCodes", MetricUnit.Count, "exchange")
    EXCHANGE_FAULTS = ("ExchangeFaults", MetricUnit.Count, "exchange")
    UNKNOWN_OUTCOMES = ("UnknownOutcomes", MetricUnit.Count)
    EVENTS_TRIMMED = ("EventsTrimmed", MetricUnit.Count)
    DELIVERY_IMBALANCE = ("DeliveryImbalance", MetricUnit.Count)
    MATCHING_LAG = ("MatchingLag", MetricUnit.Seconds)
    SILENT_STRATEGIES = ("SilentStrategies", MetricUnit.Count)
    TOKEN_FROM_UNKNOWN_ADDRESS = ("TokenFromUnknownAddress", MetricUnit.Count)
    EXECUTIONS_GIVEN_UP = ("ExecutionsGivenUp", MetricUnit.Count)
    SIGNALS_SWEPT = ("SignalsSwept", MetricUnit.Count)

    def __init__(self, title: str, unit: MetricUnit, *dimensions: str) -> None:
        self.title = title
        self.unit = unit
        self.dimensions = frozenset(dimensions)


def measure(metric: Metric, value: float = 1, dimensions: Mapping[str, str] | None = None) -> None:
    """Writes one value of a metric. No-op if the deployment sets no namespace.

    Raises:
        ValueError: The dimensions are not those of the metric. No alarm would see the value.
    """
    values = dict(dimensions or {})
    if values.keys() != metric.dimensions:
        raise ValueError(
            f"{metric.title} has the dimensions {sorted(metric.dimensions)}, not {sorted(values)}"
        )
    namespace = config.metrics_namespace()
    if namespace is None:
        return
    metrics = EphemeralMetrics(namespace=namespace, service=_SERVICE)
    for name, dimension in values.items():
        metrics.add_dimension(name, dimension)
    metrics.add_metric(name=metric.title, unit=metric.unit, value=value)
    # One write per line, as the log does: threads share the stream, and CloudWatch reads whole lines.
    sys.stdout.write(json.dumps(metrics.serialize_metric_set(), separators=(",", ":")) + "\n")
    sys.stdout.flush()
