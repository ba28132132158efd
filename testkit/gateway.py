"""Events as AWS sends them to the functions."""

import json
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

# The attributes of a LambdaContext that functions read. Those of a real context cannot be set.
CONTEXT: Any = SimpleNamespace(
    function_name="test",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-west-1:000000000000:function:test",
    aws_request_id="request",
    get_remaining_time_in_millis=lambda: 30_000,
)


def request(
    method: str,
    path: str,
    body: str | bytes | None = None,
    *,
    route: str | None = None,
    path_parameters: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    source_ip: str = "127.0.0.1",
) -> dict[str, Any]:
    """Returns a REST API proxy event."""
    text = body.decode() if isinstance(body, bytes) else body
    return {
        "resource": route or path,
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "application/json", **(headers or {})},
        "multiValueHeaders": {
            name: [value] for name, value in {"Content-Type": "application/json", **(headers or {})}.items()
        },
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()}
        if query
        else None,
        "pathParameters": path_parameters,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route or path,
            "httpMethod": method,
            "path": path,
            "requestTimeEpoch": int(time.time() * 1000),
            "identity": {"sourceIp": source_ip},
            "requestId": "request",
        },
        "body": text,
        "isBase64Encoded": False,
    }


def call(app: Any, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any, dict[str, str]]:
    """Calls an HTTP function. Returns status, body and headers."""
    text = json.dumps(body) if isinstance(body, (dict, list)) else body
    answer = app(request(method, path, text, **more), CONTEXT)
    return (
        answer["statusCode"],
        json.loads(answer["body"]),
        answer["headers"]
        | {name: values[-1] for name, values in answer.get("multiValueHeaders", {}).items()},
    )


def queue_event(messages: list[dict[str, Any]], queue: str = "orders-paper") -> dict[str, Any]:
    """Returns an SQS event with messages received from a queue."""
    records = [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": {
                "MessageGroupId": message["Attributes"]["MessageGroupId"],
                "ApproximateReceiveCount": message["Attributes"].get("ApproximateReceiveCount", "1"),
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:eu-west-1:000000000000:tradehook-dev-{queue}.fifo",
            "awsRegion": "eu-west-1",
        }
        for message in messages
    ]
    return {"Records": records}


def stream_event(items: list[dict[str, Any]], names: Sequence[str] = ("owner", "event_id")) -> dict[str, Any]:
    """Returns a DynamoDB stream event: these items were put into a table with such keys, the outbox."""
    keys = [{name: {"S": item[name]} for name in names} for item in items]
    return {"Records": [{"eventName": "INSERT", "dynamodb": {"Keys": key}} for key in keys]}
