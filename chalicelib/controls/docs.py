"""Documentation of the halt switches' routes."""

from chalicelib.controls.routes import HaltInput
from chalicelib.openapi.docs import OWNER, Docs, listing
from chalicelib.openapi.examples import AT, USER_ID
from chalicelib.openapi.schemas import FLAG, ID, TEXT, TIME, maybe, obj, one_of, page

_SWITCH = obj(scope=one_of("global", "user", "account"), id=maybe(ID), halted=FLAG, reason=maybe(TEXT), by=maybe(ID), at=maybe(TIME))
_switch = {"scope": "user", "id": USER_ID, "halted": True, "reason": "on holiday", "by": USER_ID, "at": AT}

DOCS = {
    "GET /halt": Docs(page(_SWITCH), listing(_switch), query=OWNER, paged=True),
    "POST /halt": Docs(
        _SWITCH, _switch, body=HaltInput, given={"scope": "user", "id": USER_ID, "halted": True, "reason": "on holiday"}, errors=(404, 409)
    ),
}
