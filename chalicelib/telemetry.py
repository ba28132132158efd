"""One structured log for every function, and the metrics that alarms watch.

Both JSON lines, and nothing secret in either.

The code logs identifiers and outcomes, never bodies, headers or credentials; those live masked in the webhook
log. A line about a signal, or about what came of one, carries its `signal_id`, from the webhook to the last
delivery.

A metric is a line in CloudWatch's embedded metric format
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html):
no call to AWS, so that measuring can neither fail nor slow down what it measures.
`infra/terraform/metrics.yaml` says what each means and which have alarms.
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
    """The metrics there are: name, unit, and the dimensions each value must have besides the service."""

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
    """Writes one value of a metric; nothing where the deployment names no namespace for them.

    Raises:
        ValueError: The dimensions are not those of the metric, so that no alarm would see the value.
    """
    given = dict(dimensions or {})
    if given.keys() != metric.dimensions:
        raise ValueError(
            f"{metric.title} has the dimensions {sorted(metric.dimensions)}, not {sorted(given)}"
        )
    namespace = config.metrics_namespace()
    if namespace is None:
        return
    metrics = EphemeralMetrics(namespace=namespace, service=_SERVICE)
    for name, of in given.items():
        metrics.add_dimension(name, of)
    metrics.add_metric(name=metric.title, unit=metric.unit, value=value)
    # In one write, as the log has it: threads share the stream, and CloudWatch reads whole lines only.
    sys.stdout.write(json.dumps(metrics.serialize_metric_set(), separators=(",", ":")) + "\n")
    sys.stdout.flush()
