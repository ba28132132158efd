"""Documentation of the webhooks, of manual orders, and of reading signals and orders."""

from typing import Any

from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.openapi.docs import OWNER, TOKEN, WAIT, WINDOW, Docs, listing
from chalicelib.openapi.examples import ACCOUNT_ID, AT, ORDER_ID, SIGNAL_ID, USER_ID
from chalicelib.openapi.schemas import (
    FLAG,
    ID,
    NUMBER,
    OBJECT,
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
from chalicelib.orders.models import Order
from chalicelib.signals import bodies_docs as given
from chalicelib.signals.read_routes import OUTCOMES
from chalicelib.signals.trace import OUTCOMES as OUTCOMES_OF_SIGNALS
from chalicelib.trading import Variant

_ACCEPTED = obj(status=one_of("accepted"), signal_id=TEXT, status_url=TEXT)
_accepted = {
    "status": "accepted",
    "signal_id": SIGNAL_ID,
    "status_url": f"https://your-domain.com/signals/{SIGNAL_ID}",
}
_PAPER_ORDER = obj(
    id=WHOLE,
    symbol=TEXT,
    side=one_of("buy", "sell"),
    requested_qty=NUMBER,
    filled_qty=NUMBER,
    requested_price=maybe(NUMBER),
    exec_price=maybe(NUMBER),
    value=maybe(NUMBER),
    time=TEXT,
    status=TEXT,
    source=one_of("webhook", "manual"),
)
_SIMULATION = obj(slippage=NUMBER, commission=NUMBER, fill_rate=NUMBER, total_cost=NUMBER)
_FILLED = obj(
    {"simulation": _SIMULATION, "cancelled_orders": WHOLE}, status=one_of("ok"), order=maybe(_PAPER_ORDER)
)
_filled = {
    "status": "ok",
    "order": {
        "id": 1,
        "symbol": "AAPL",
        "side": "buy",
        "requested_qty": 100,
        "filled_qty": 100,
        "requested_price": 185.50,
        "exec_price": 185.59,
        "value": 18559,
        "time": "2026-01-22T15:30:00",
        "status": "filled",
        "source": "webhook",
    },
    "simulation": {"slippage": 0.09, "commission": 18.56, "fill_rate": 1.0, "total_cost": 18577.56},
}
_GROUP = obj(success={"const": True}, message=TEXT, result=obj(action=TEXT, strategy=TEXT, summary=OBJECT))
_ANSWERED = {"anyOf": [_FILLED, _GROUP]}
_ORDER = record(Order, order_id=TEXT)
_order = {
    **Order(
        signal_id=SIGNAL_ID,
        account_id=str(ACCOUNT_ID),
        user_id=str(USER_ID),
        leg="0",
        number=1,
        client_order_id="thp7priu2hhym53fnmkmqcrn4xmn7ue7",
        exchange_order_id="1",
        exchange="paper",
        market_type="spot",
        symbol="AAPL",
        base="AAPL",
        side="buy",
        order_type="market",
        status="filled",
        quantity="100",
        filled="100",
        price="185.50",
        average_price="185.59",
        value="18559.00",
        fee="18.56",
        fee_currency="USD",
        created_at=AT,
        updated_at=AT,
    ).model_dump(),
    "order_id": ORDER_ID,
}
_SIGNAL = {
    "signal_id": TEXT,
    "user_id": ID,
    "variant": one_of(*Variant),
    "received_at": TIME,
    "accounts": WHOLE,
    "action": TEXT,
    "symbol": maybe(TEXT),
    "group_name": maybe(TEXT),
    "outcome": one_of(*OUTCOMES_OF_SIGNALS),
    "code": maybe(TEXT),
    "counts": OBJECT,
}
_signal = {
    "signal_id": SIGNAL_ID,
    "user_id": str(USER_ID),
    "variant": "paper",
    "received_at": AT,
    "accounts": 1,
    "action": "buy",
    "symbol": "AAPL",
    "group_name": None,
    "outcome": "filled",
    "code": None,
    "counts": {"filled": 1},
}
_TRACE = obj(
    {"result": OBJECT},
    **_SIGNAL,
    status=one_of("accepted", "settled"),
    route=maybe(TEXT),
    source_ip=maybe(TEXT),
    body=maybe(TEXT),
    settings=OBJECT,
    signal=OBJECT,
    instruction=OBJECT,
    targets=listed(OBJECT),
    missed=maybe(OBJECT),
    queued=FLAG,
    executions=listed(OBJECT),
    orders=listed(_ORDER),
    deliveries=listed(OBJECT),
    events=listed(obj(at=TIME, type=TEXT, entity=TEXT, event_id=TEXT)),
)
_trace = {
    **_signal,
    "status": "settled",
    "route": "/api/webhook",
    "source_ip": "52.89.214.238",
    "body": '{"symbol": "AAPL", "token": "***"}',
    "settings": {"leverage": 1},
    "signal": {"action": "buy"},
    "instruction": {"action": "buy", "price": "185.50"},
    "missed": None,
    "queued": True,
    "targets": [{"account_id": str(ACCOUNT_ID), "exchange": "paper", "weight": "100"}],
    "executions": [
        {
            "account_id": str(ACCOUNT_ID),
            "account_name": "策略A",
            "exchange": "paper",
            "refused": [],
            "settled_at": AT,
        }
    ],
    "orders": [_order],
    "events": [
        {
            "at": AT,
            "type": "order.filled",
            "entity": f"order#{ORDER_ID}",
            "event_id": "00a1e897a25a102a2941938e880bc829",
        }
    ],
    "deliveries": [],
    "result": _filled,
}
_EXPLAINED = obj(
    {
        "code": TEXT,
        "error": TEXT,
        "side": TEXT,
        "quantity": NUMBER,
        "minimum_quantity": NUMBER,
        "minimum_notional": maybe(NUMBER),
        "price": maybe(NUMBER),
        "price_source": maybe(TEXT),
    },
    account_id=ID,
    account_name=maybe(TEXT),
    exchange=TEXT,
    kind=maybe(TEXT),
    symbol=maybe(TEXT),
    balances_known=FLAG,
    balances_at=maybe(TIME),
    would_trade=maybe(FLAG),
    would_cancel=WHOLE,
    orders=listed(OBJECT),
    refused=listed(OBJECT),
)
_explained = {
    "account_id": ACCOUNT_ID,
    "account_name": "策略A",
    "exchange": "paper",
    "kind": "paper",
    "symbol": "AAPL",
    "balances_known": True,
    "balances_at": None,
    "would_trade": True,
    "would_cancel": 0,
    "refused": [],
    "side": "buy",
    "quantity": 100,
    "fee": 18.56,
    "price": 185.50,
    "price_source": "signal",
    "orders": [
        {
            "leg": "0",
            "side": "buy",
            "quantity": 100,
            "price": 185.59,
            "value": 18559,
            "fee": 18.56,
            "cost": 18577.56,
        }
    ],
}
_PLAN = obj(
    variant=TEXT,
    user_id=ID,
    signal=OBJECT,
    fields=listed(obj(field=TEXT, name=maybe(TEXT), code=TEXT, explanation=TEXT)),
    settings=OBJECT,
    market_type=maybe(TEXT),
    total_accounts=WHOLE,
    accounts=listed(_EXPLAINED),
)
_plan = {
    "variant": "paper",
    "user_id": USER_ID,
    "signal": {"action": "buy"},
    "fields": [
        {"field": "note", "name": None, "code": "field_unknown", "explanation": "Unknown; kept and not used"}
    ],
    "settings": {"leverage": 1},
    "market_type": "spot",
    "total_accounts": 1,
    "accounts": [_explained],
}
_LOG = obj(
    {"code": TEXT, "status": WHOLE, "signal_id": TEXT},
    owner=TEXT,
    received_at=TIME,
    outcome=TEXT,
    route=TEXT,
    body=TEXT,
)
_log = {
    "owner": str(USER_ID),
    "received_at": AT,
    "outcome": "refused",
    "route": "/webhook",
    "body": "{}",
    "code": "token_wrong",
    "status": 401,
}
_REFUSED = (403, 404, 409, 422, 429)


def _webhook(body: Any, example: Any, **more: Any) -> Docs:
    return Docs(
        _ACCEPTED,
        _accepted,
        202,
        body,
        example,
        errors=_REFUSED,
        security="webhook",
        query={**TOKEN, **more.pop("query", {})},
        **more,
    )


_BY_HAND = Docs(
    _FILLED,
    _filled | {"order": _filled["order"] | {"source": "manual"}},  # type: ignore[operator]
    body=given.MANUAL,
    given=given.manual,
    query=WAIT,
    errors=(404, 409, 422, 429),
    also={202: _ACCEPTED},
)

DOCS = {
    "POST /api/webhook": Docs(
        _ANSWERED,
        _filled,
        body=given.EITHER,
        given=given.paper,
        bodies=given.examples,
        query={**TOKEN, **WAIT},
        errors=_REFUSED,
        also={202: _ACCEPTED},
        security="webhook",
    ),
    "POST /webhook": _webhook(given.SETTINGS_SIZED, given.legacy),
    "POST /personal/{user_id}/webhook": _webhook(given.SETTINGS_SIZED, given.personal),
    "POST /xc": _webhook(given.XC, given.xc, also={200: OBJECT}),
    "POST /orders": _BY_HAND,
    "POST /api/orders": _BY_HAND,
    "POST /signals/explain": Docs(
        _PLAN,
        _plan,
        body=given.EITHER,
        given=given.paper,
        bodies=given.examples,
        query={**OWNER, "variant": one_of("paper", "group", "legacy", "personal", "xc", "batch", "cancel")},
        errors=(404, 422),
    ),
    "GET /signals": Docs(
        page(obj(**_SIGNAL)),
        listing(_signal),
        query={
            **OWNER,
            **WINDOW,
            "variant": one_of(*Variant),
            "symbol": TEXT,
            "group_name": TEXT,
            "outcome": one_of(*OUTCOMES_OF_SIGNALS),
            "code": TEXT,
        },
        paged=True,
    ),
    "GET /signals/{signal_id}": Docs(_TRACE, _trace),
    "GET /orders": Docs(
        page(_ORDER),
        listing(_order),
        query={**OWNER, "status": one_of(*OrderStatus), "symbol": TEXT, "account_id": ID, "signal_id": TEXT},
        paged=True,
    ),
    "GET /orders/{order_id}": Docs(_ORDER, _order),
    "DELETE /orders/{order_id}": Docs(
        _ORDER,
        _order | {"status": "cancelled"},
        query=WAIT,
        errors=(409, 422),
        also={202: obj(status=one_of("accepted"), order_id=TEXT, status_url=TEXT)},
    ),
    "GET /webhook-logs": Docs(
        page(_LOG), listing(_log), query={**OWNER, "outcome": one_of(*OUTCOMES), "code": TEXT}, paged=True
    ),
}
