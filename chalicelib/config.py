"""Deployment configuration. The only module that reads the environment.

A resource's address is set if `infra/stack.yaml` grants the resource to the function. Asking for another
one raises `Misconfigured`, which names the missing variable.
"""

import os

from chalicelib.errors import Misconfigured


def table(name: str) -> str:
    """Returns the full name of a DynamoDB table."""
    return _granted("TABLE", name)


def queue(name: str) -> str:
    """Returns the URL of an SQS queue."""
    return _granted("QUEUE", name)


def topic(name: str) -> str:
    """Returns the ARN of an SNS topic."""
    return _granted("TOPIC", name)


def key(name: str) -> str:
    """Returns the ARN of a KMS key."""
    return _granted("KEY", name)


def websocket(name: str) -> str:
    """Returns the management URL of a WebSocket API."""
    return _granted("WEBSOCKET", name)


def setting(name: str, default: str = "") -> str:
    """Returns the deployment setting `TRADEHOOK_{name}`. An empty value counts as not set."""
    return os.environ.get(f"TRADEHOOK_{name}") or default


def exchanges() -> tuple[str, ...]:
    """Returns the exchanges that this deployment trades on with keys, in lower case. `paper` is not one."""
    return tuple(setting("EXCHANGES", "binance bybit okx").split())


def aws_endpoint() -> str | None:
    """Returns the URL of the local cloud. None on AWS."""
    return os.environ.get("AWS_ENDPOINT_URL") or None


def metrics_namespace() -> str | None:
    """Returns the namespace of the metrics. None if metrics are not collected."""
    return os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or None


def in_lambda() -> bool:
    """Returns whether this process is a Lambda function."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def _granted(kind: str, name: str) -> str:
    variable = f"{kind}_{name.upper().replace('-', '_')}"
    try:
        return os.environ[variable]
    except KeyError:
        raise Misconfigured(
            f"{variable} is not set: infra/stack.yaml grants this function no {kind.lower()} {name!r}"
        ) from None
