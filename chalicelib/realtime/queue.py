"""The realtime queue: logged events from the topic, the welcome of a new connection, and prices."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import simplejson

from chalicelib import aws, config


def welcome(connection_id: str, tries: int = 0) -> None:
    """Has the first message sent to a connection, once it is open.

    `tries` counts how often that was too early.
    """
    message = {"welcome": connection_id, "tries": tries}
    _send(message, group=f"connection:{connection_id}", once=f"welcome:{connection_id}:{tries}")


def refuse(connection_id: str, error: dict[str, Any], tries: int = 0) -> None:
    """Has an error sent to a connection once it is open, and the connection closed. `tries` as for `welcome`.

    API Gateway documents no body for a refused `$connect`, only its status
    (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html),
    and `DeleteConnection` takes no close code
    (https://docs.aws.amazon.com/apigatewaymanagementapi/latest/APIReference/API_DeleteConnection.html).
    """
    message = {"refuse": connection_id, "error": error, "tries": tries}
    _send(message, group=f"connection:{connection_id}", once=f"refuse:{connection_id}:{tries}")


def join(connection_id: str, stream: str) -> None:
    """Has a welcomed connection told of its stream's events, in turn with those events.

    Nothing twice, and nothing left out.
    """
    _send({"join": connection_id}, group=stream, once=f"join:{connection_id}")


def push_price(symbol: str, price: Decimal, user_id: str | None) -> None:
    """Has a price sent to whoever subscribed to `market.price`.

    It is stored nowhere, and a newer one may overtake it.

    Args:
        user_id: Whose price it is: that user and the admins see it; None for a price that everybody may see.
    """
    told = {
        "symbol": symbol,
        "price": format(price, "f"),
        "timestamp": datetime.now(UTC).isoformat(),
        "user_id": user_id,
    }
    _send({"price": told}, group=f"price:{user_id or ''}:{symbol}", once=uuid.uuid4().hex)


def _send(message: dict[str, Any], *, group: str, once: str) -> None:
    aws.client("sqs").send_message(
        QueueUrl=config.queue("realtime"),
        MessageBody=simplejson.dumps(message),
        MessageGroupId=group,
        MessageDeduplicationId=once,
    )
