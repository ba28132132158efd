"""Handles WebSocket events: connect, message, disconnect."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib import aws
from chalicelib.errors import Refused
from chalicelib.http import refusal, to_json
from chalicelib.realtime import connect, converse

aws.prepare("dynamodb", "sqs")


def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Handles one WebSocket event. Answers to messages are posted to the connection.

    AWS drops a handler's return value.
    """
    context = event["requestContext"]
    try:
        match context["eventType"]:
            case "CONNECT":
                connect.open_connection(context["connectionId"], event)
            case "DISCONNECT":
                connect.close_connection(context["connectionId"])
            case _:
                converse.answer_message(context["connectionId"], event.get("body") or "")
    except Refused as refused:
        return {"statusCode": refused.status, "body": to_json(refusal(refused, "en").body)}
    return {"statusCode": 200}
