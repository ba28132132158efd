"""Cancels one resting order through its account's queue, so that the account's orders keep their sequence."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from time import monotonic, sleep
from typing import Any

from chalicelib import aws, config
from chalicelib.audit import record
from chalicelib.errors import Conflict, NotDoable
from chalicelib.events.models import event_id
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.http import Answer, Request, Route, preference_wait
from chalicelib.orders import queue
from chalicelib.orders import store as order_store
from chalicelib.orders.models import CancelOrder, Order
from chalicelib.signals.answers import DEFAULT_WAIT_S
from chalicelib.signals.read_routes import readable_order
from chalicelib.signals.trace import order_view
from chalicelib.users.access import Caller, caller

_POLL_S = 0.05
_LONGEST_POLL_S = 0.5
_KEPT = timedelta(days=7)  # of the note that a cancel was requested. SQS forgets a message after four days


def cancel_order(request: Request) -> Answer:
    """Cancels a resting order and waits for the result, 2.5 s or `?wait=`.

    200 with the order once it is cancelled, 202 while the cancel is queued. Exits of a part that has filled
    stay, because they protect the position.
    """
    who = caller(request)
    order = readable_order(who, request.path["order_id"])
    if order.status is OrderStatus.CANCELLED:
        return Answer(200, order_view(order))
    _refuse_ended(order)
    message = _pending_cancel(order)
    _note(message, order, who)
    queue.send_messages([message])
    patience = preference_wait(request.headers, request.query, DEFAULT_WAIT_S)
    return _wait(order, message, until=monotonic() + patience)


def _pending_cancel(order: Order) -> CancelOrder:
    """Returns the cancel that has not settled yet: a repeated request is the same cancel.

    After a cancel that the exchange refused, the next request is a new one.
    """
    for attempt in count():
        message = CancelOrder(
            cancel_id=event_id("cancel", order.order_id, str(attempt)),
            user_id=order.user_id,
            account_id=order.account_id,
            exchange=order.exchange,
            order_id=order.order_id,
            at=datetime.now(UTC),
        )
        if not order_store.is_settled(message.cancel_id, order.account_id):
            return message
    raise AssertionError  # `count` does not end


def _note(message: CancelOrder, order: Order, who: Caller) -> None:
    """Writes the audit entry of a cancel, once."""
    asked = record.Change(
        who.user_id,
        "order.cancel_requested",
        order.entity,
        order.user_id,
        message.at,
        {"status": order.status},
        {"status": OrderStatus.CANCELLED},
    )
    once = {
        "key": f"cancel#{message.cancel_id}",
        "fingerprint": order.order_id,
        "received_at": message.at.isoformat(),
        "forget_at": int((message.at + _KEPT).timestamp()),
    }
    try:
        aws.transact(
            [aws.put_write("idempotency", once, "attribute_not_exists(fingerprint)"), record.write(asked)]
        )
    except aws.WriteRefused:
        return  # an earlier request asked for the same cancel. Its message may have been lost


def _wait(order: Order, message: CancelOrder, until: float) -> Answer:
    """Returns the answer once the cancel has settled, or at the deadline.

    Raises:
        Conflict: The order ended in another way first.
        NotDoable: The exchange did not cancel the order.
    """
    order_key = {"signal_id": order.signal_id, "leg": f"{order.account_id}#{order.leg}"}
    result_key = {"signal_id": message.cancel_id, "leg": order.account_id}
    pause = _POLL_S
    while True:
        result = aws.get_many([("orders", result_key)])[0]
        item = aws.get_many([("orders", order_key)])[0]
        now = order_store.order_from_item(item) if item else order
        if now.status is OrderStatus.CANCELLED:
            return Answer(200, order_view(now))
        _refuse_ended(now)
        if result is not None:
            raise _not_cancelled(result, now)
        if monotonic() + pause >= until:
            return Answer(202, _accepted_body(now))
        sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL_S)


def _refuse_ended(order: Order) -> None:
    if order.status.final:
        raise Conflict("order_ended", status=order.status.value)


def _not_cancelled(result: Mapping[str, Any], order: Order) -> NotDoable:
    """Returns why a settled cancel left the order as it is."""
    refused = next(iter(result.get("refused", ())), None)
    if refused:
        return NotDoable(refused["code"], **refused["values"])
    return NotDoable("order_not_cancelled", exchange=order.exchange, status=order.status.value)


def _accepted_body(order: Order) -> dict[str, Any]:
    return {
        "status": "accepted",
        "order_id": order.order_id,
        "status_url": f"{config.setting('PUBLIC_URL')}/orders/{order.order_id}",
    }


CANCELLING = [Route("DELETE", "/orders/{order_id}", cancel_order)]
