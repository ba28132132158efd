"""Documentation of the event log's route."""

from chalicelib.openapi.docs import Docs, listing
from chalicelib.openapi.examples import AT, ORDER_ID, USER_ID
from chalicelib.openapi.schemas import OBJECT, TEXT, TIME, WHOLE, maybe, obj, page

EVENT = {
    "type": TEXT,
    "payload": OBJECT,
    "timestamp": TIME,
    "sequence": WHOLE,
    "event_id": TEXT,
    "user_id": maybe(TEXT),
}
event = {
    "type": "order.filled",
    "payload": {"order_id": ORDER_ID, "quantity": "100"},
    "timestamp": AT,
    "sequence": 17,
    "event_id": "00a1e897a25a102a2941938e880bc829",
    "user_id": str(USER_ID),
}

DOCS = {
    "GET /events": Docs(
        page(obj(**EVENT, entity=TEXT)),
        listing(event | {"entity": f"order#{ORDER_ID}"}) | {"total": None},
        query={"after": {**WHOLE, "minimum": 0}},
        paged=True,
    ),
}
