"""The realtime queue: logged events from the topic, the welcome of a new connection, and prices."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import simplejson

from chalicelib import aws, config


def welcome(connection_id: str) -> None:
    """Has the first message sent to a connection, once it is open."""
    _send({"welcome": connection_id}, group=f"connection:{connection_id}", once=f"welcome:{connection_id}")


def push_price(symbol: str, price: Decimal, user_id: str | None) -> None:
    """Has a price sent to whoever subscribed to `market.price`. It is stored nowhere, and a newer one may overtake it.

    Args:
        user_id: Whose price it is: that user and the admins see it; None for a price that everybody may see.
    """
    told = {"symbol": symbol, "price": format(price, "f"), "timestamp": datetime.now(UTC).isoformat(), "user_id": user_id}
    _send({"price": told}, group=f"price:{user_id or ''}:{symbol}", once=uuid.uuid4().hex)


def _send(message: dict[str, Any], *, group: str, once: str) -> None:
    aws.client("sqs").send_message(
        QueueUrl=config.queue("realtime"), MessageBody=simplejson.dumps(message), MessageGroupId=group, MessageDeduplicationId=once
    )
