"""Documentation of the event log's route."""

from chalicelib.openapi.docs import Docs, listing
from chalicelib.openapi.examples import AT, ORDER_ID
from chalicelib.openapi.schemas import OBJECT, TEXT, TIME, WHOLE, obj, page

EVENT = {"type": TEXT, "payload": OBJECT, "timestamp": TIME, "sequence": WHOLE, "event_id": TEXT}
event = {
    "type": "order.filled",
    "payload": {"order_id": ORDER_ID, "quantity": "100"},
    "timestamp": AT,
    "sequence": 17,
    "event_id": "00a1e897a25a102a2941938e880bc829",
}

DOCS = {
    "GET /events": Docs(
        page(obj(**EVENT, entity=TEXT)),
        listing(event | {"entity": f"order#{ORDER_ID}"}) | {"total": None},
        query={"after": {**WHOLE, "minimum": 0}},
        paged=True,
    ),
}
