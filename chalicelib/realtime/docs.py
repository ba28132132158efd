"""Documentation of realtime over HTTP."""

from chalicelib.events.docs import EVENT, event
from chalicelib.openapi.docs import OWNER, Docs, listing
from chalicelib.openapi.examples import AT, USER_ID
from chalicelib.openapi.schemas import TEXT, TIME, WHOLE, obj, page, record
from chalicelib.realtime.store import INTERNAL, Connection

_TICKET = obj(ticket=TEXT, expires_in=WHOLE, expires_at=TIME, url=TEXT)
_CONNECTION = record(Connection, INTERNAL, ends_at=TIME)
_ticket = {
    "ticket": "rt_…",
    "expires_in": 60,
    "expires_at": AT,
    "url": "wss://your-domain.com/ws?ticket=rt_…",
}
_connection = {
    "connection_id": "L0SM9cOFvHcCIhw=",
    "user_id": str(USER_ID),
    "user_uuid": "dc0ff3f1-ed44-4269-8980-9fa5fa5ef365",
    "role": "user",
    "connected_at": AT,
    "source_ip": "203.0.113.7",
    "device": "Mozilla/5.0",
    "registered_as": None,
    "types": ["*"],
    "ends_at": AT,
}

DOCS = {
    "POST /realtime/tickets": Docs(_TICKET, _ticket, 201),
    "GET /realtime/connections": Docs(page(_CONNECTION), listing(_connection), query=OWNER, paged=True),
    "GET /realtime/events/{sequence}": Docs(obj(**EVENT), event),
}
