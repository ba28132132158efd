"""The realtime queue: logged events from the topic, the welcome of a new connection, and prices."""

import hashlib
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import simplejson

from chalicelib import aws, config


def welcome(connection_id: str, tries: int = 0) -> None:
    """Queues the first message of a connection, for when it is open.

    `tries` counts the tries that came too early.
    """
    message = {"welcome": connection_id, "tries": tries}
    _send(message, group=f"connection:{connection_id}", once=f"welcome:{connection_id}:{tries}")


def refuse(connection_id: str, error: dict[str, Any], tries: int = 0) -> None:
    """Queues an error for a connection, and its closing. `tries` as for `welcome`.

    API Gateway documents no body for a refused `$connect`, only its status
    (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html),
    and `DeleteConnection` takes no close code
    (https://docs.aws.amazon.com/apigatewaymanagementapi/latest/APIReference/API_DeleteConnection.html).
    """
    message = {"refuse": connection_id, "error": error, "tries": tries}
    _send(message, group=f"connection:{connection_id}", once=f"refuse:{connection_id}:{tries}")


def join(connection_id: str, stream: str) -> None:
    """Queues the joining of a welcomed connection to its stream, in turn with the stream's events.

    The connection gets no event twice and misses none.
    """
    _send({"join": connection_id}, group=stream, once=f"join:{connection_id}")


def push_price(symbol: str, price: Decimal, user_id: str | None) -> None:
    """Pushes a price to subscribers of `market.price`. Best effort.

    The price is not stored, and a newer one may overtake it.

    Args:
        user_id: That user and the admins see the price. None for a price that everybody may see.
    """
    price_message = {
        "symbol": symbol,
        "price": format(price, "f"),
        "timestamp": datetime.now(UTC).isoformat(),
        "user_id": user_id,
    }
    # A group id may hold only ASCII, up to 128 characters; a symbol may be neither.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    group = "price:" + hashlib.sha256(f"{user_id or ''}:{symbol}".encode()).hexdigest()
    _send({"price": price_message}, group=group, once=uuid.uuid4().hex)


def _send(message: dict[str, Any], *, group: str, once: str) -> None:
    aws.client("sqs").send_message(
        QueueUrl=config.queue("realtime"),
        MessageBody=simplejson.dumps(message),
        MessageGroupId=group,
        MessageDeduplicationId=once,
    )
