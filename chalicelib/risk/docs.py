"""OpenAPI documentation of the routes for halt switches and risk rules."""

from chalicelib.openapi.docs import OWNER, Docs, listing
from chalicelib.openapi.examples import AT, USER_ID
from chalicelib.openapi.schemas import (
    FLAG,
    ID,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    listed,
    maybe,
    obj,
    one_of,
    page,
    record,
)
from chalicelib.risk.routes import HaltInput, RulesInput
from chalicelib.risk.rules import Rules

_LEFT_OPEN = obj(
    {
        "code": TEXT,
        "symbol": TEXT,
        "side": one_of("long", "short"),
        "quantity": NUMBER,
        "margin_mode": maybe(TEXT),
    },
    account_id=ID,
)
_SWITCH = obj(
    scope=one_of("global", "user", "account", "strategy"),
    id=maybe(ID),
    halted=FLAG,
    reason=maybe(TEXT),
    by=maybe(ID),
    at=maybe(TIME),
    left_open=listed(_LEFT_OPEN),
)
_switch = {
    "scope": "user",
    "id": USER_ID,
    "halted": True,
    "reason": "on holiday",
    "by": USER_ID,
    "at": AT,
    "left_open": [],
}
_RULES = record(Rules, scope=one_of("user", "account", "strategy"), id=ID, name=maybe(TEXT), version=WHOLE)
_rules = {
    "scope": "user",
    "id": USER_ID,
    "name": None,
    "allowed_symbols": ["BTCUSDT"],
    "max_order_notional": 5000,
    "max_position_notional": 20000,
    "max_open_positions": 5,
    "max_orders_per_minute": 10,
    "max_daily_loss": 500,
    "flatten": True,
    "cancel_on_halt": True,
    "trading_hours": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "16:30"}],
    "cooldown_s": 30,
    "version": 1,
}

DOCS = {
    "GET /halt": Docs(page(_SWITCH), listing(_switch), query=OWNER, paged=True),
    "POST /halt": Docs(
        _SWITCH,
        _switch,
        body=HaltInput,
        given={"scope": "user", "id": USER_ID, "halted": True, "reason": "on holiday"},
        errors=(404, 409),
    ),
    "GET /risk-rules": Docs(page(_RULES), listing(_rules), query=OWNER, paged=True),
    "PATCH /risk-rules": Docs(
        _RULES,
        _rules,
        body=RulesInput,
        given={"scope": "user", "id": USER_ID, "max_daily_loss": 500, "flatten": True},
        errors=(404, 409),
    ),
}
