"""What the deployment tells the code. The only module that reads the environment.

A resource's address is there because `infra/stack.yaml` grants the function that resource; asking for one
that was not granted raises `Misconfigured`, which names what is missing.
"""

import os

from chalicelib.errors import Misconfigured


def table(name: str) -> str:
    """The full name of a DynamoDB table."""
    return _granted("TABLE", name)


def queue(name: str) -> str:
    """The URL of an SQS queue."""
    return _granted("QUEUE", name)


def topic(name: str) -> str:
    """The ARN of an SNS topic."""
    return _granted("TOPIC", name)


def key(name: str) -> str:
    """The ARN of a KMS key."""
    return _granted("KEY", name)


def websocket(name: str) -> str:
    """The management URL of a WebSocket API."""
    return _granted("WEBSOCKET", name)


def setting(name: str, default: str = "") -> str:
    """A deployment setting, `TRADEHOOK_{name}`; empty counts as not set."""
    return os.environ.get(f"TRADEHOOK_{name}") or default


def exchanges() -> tuple[str, ...]:
    """The exchanges this deployment trades on with keys; `paper` is not among them. Lower case."""
    return tuple(setting("EXCHANGES", "binance bybit okx").split())


def aws_endpoint() -> str | None:
    """Where AWS is, when it is not AWS: the local cloud's URL."""
    return os.environ.get("AWS_ENDPOINT_URL") or None


def metrics_namespace() -> str | None:
    """The namespace of the metrics; None where nobody collects any."""
    return os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or None


def in_lambda() -> bool:
    """Whether this process is a Lambda function's."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def _granted(kind: str, name: str) -> str:
    variable = f"{kind}_{name.upper().replace('-', '_')}"
    try:
        return os.environ[variable]
    except KeyError:
        raise Misconfigured(
            f"{variable} is not set: infra/stack.yaml grants this function no {kind.lower()} {name!r}"
        ) from None
