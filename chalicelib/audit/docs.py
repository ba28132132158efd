"""Documentation of the audit trail's route."""

from chalicelib.openapi.docs import OWNER, Docs, listing
from chalicelib.openapi.examples import AT, USER_ID
from chalicelib.openapi.schemas import FLAG, ID, OBJECT, TEXT, TIME, WHOLE, listed, maybe, obj, page

_CHANGE = obj(
    audit_id=TEXT, at=TIME, by=ID, action=TEXT, entity=TEXT, user_id=maybe(ID), before=OBJECT, after=OBJECT
)
_change = {
    "audit_id": "5f2b",
    "at": AT,
    "by": 2,
    "action": "user.settings_updated",
    "entity": f"user#{USER_ID}",
    "user_id": USER_ID,
    "before": {"leverage": 1},
    "after": {"leverage": 10},
}

_VERIFIED = obj(month=TEXT, entries=WHOLE, links=WHOLE, head=maybe(TEXT), intact=FLAG, problems=listed(TEXT))
_verified = {
    "month": "2026-11",
    "entries": 1250,
    "links": 640,
    "head": "9f86d081…",
    "intact": True,
    "problems": [],
}

DOCS = {
    "GET /audit": Docs(
        page(_CHANGE),
        listing(_change),
        query={**OWNER, "entity": TEXT, "action": TEXT, "by": TEXT},
        paged=True,
    ),
    "GET /audit/verify": Docs(_VERIFIED, _verified, query={"month": TEXT}),
}
