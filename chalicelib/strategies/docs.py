"""Documentation of the strategies' routes."""

from chalicelib.openapi.docs import ACTIVE, OWNER, Docs, listing
from chalicelib.openapi.examples import ACCOUNT_ID, AT, USER_ID
from chalicelib.openapi.schemas import FLAG, ID, OBJECT, TEXT, WHOLE, listed, maybe, obj, one_of, page, record
from chalicelib.strategies.alert_message import VARIANTS
from chalicelib.strategies.inputs import MemberChange, NewMembers, NewStrategy, StrategyChange
from chalicelib.strategies.models import Member, Strategy

_STRATEGY = record(Strategy, strategy_id=ID, user_id=ID, accounts=WHOLE, active_accounts=WHOLE)
_MEMBER = record(Member, account_id=ID)
_ALERT = obj(variant=one_of(*VARIANTS), url=TEXT, text=TEXT, message=maybe(OBJECT), fill_in=listed(TEXT))
_strategy = {
    "strategy_id": 1,
    "user_id": USER_ID,
    "group_name": "my_strategy",
    "description": None,
    "is_active": True,
    "symbols": ["BTCUSDT"],
    "resync": False,
    "max_price_deviation_percent": None,
    "expect_every_s": None,
    "created_at": AT,
    "updated_at": AT,
    "version": 1,
    "accounts": 1,
    "active_accounts": 1,
}
_member = {
    "account_id": ACCOUNT_ID,
    "name": "策略A",
    "exchange": "paper",
    "kind": "paper",
    "market_types": ["spot", "futures"],
    "weight": 100,
    "active": True,
}
_alert = {
    "variant": "cancel",
    "url": "https://your-domain.com/api/webhook",
    "text": '{"group_name": "my_strategy", …}',
    "message": {"group_name": "my_strategy", "order_type": "CANCEL_ALL_ORDER"},
    "fill_in": ["YOUR_WEBHOOK_TOKEN"],
}
_ALERT_FOR = {"variant": one_of(*VARIANTS), "exchange": TEXT, "market_type": one_of("spot", "futures")}

DOCS = {
    "GET /strategies": Docs(page(_STRATEGY), listing(_strategy), query={**OWNER, **ACTIVE}, paged=True),
    "POST /strategies": Docs(
        _STRATEGY,
        _strategy,
        201,
        NewStrategy,
        {"group_name": "my_strategy", "symbols": ["BTCUSDT"]},
        errors=(404, 409, 422),
        idempotency_key=True,
    ),
    "GET /strategies/{strategy_id}": Docs(_STRATEGY, _strategy),
    "PATCH /strategies/{strategy_id}": Docs(
        _STRATEGY, _strategy, body=StrategyChange, given={"is_active": False, "version": 1}, errors=(409, 422)
    ),
    "DELETE /strategies/{strategy_id}": Docs(
        obj(strategy_id=ID, deleted=FLAG), {"strategy_id": 1, "deleted": True}, errors=(409,)
    ),
    "GET /strategies/{strategy_id}/accounts": Docs(page(_MEMBER), listing(_member), paged=True),
    "POST /strategies/{strategy_id}/accounts": Docs(
        _STRATEGY,
        _strategy,
        201,
        NewMembers,
        {"account_id": ACCOUNT_ID, "weight": 50},
        errors=(409, 422),
        idempotency_key=True,
    ),
    "PATCH /strategies/{strategy_id}/accounts/{account_id}": Docs(
        record(Member, account_id=ID, version=WHOLE),
        _member | {"version": 2},
        body=MemberChange,
        given={"active": False},
        errors=(409, 422),
    ),
    "DELETE /strategies/{strategy_id}/accounts/{account_id}": Docs(_STRATEGY, _strategy, errors=(409,)),
    "GET /strategies/{strategy_id}/alert-message": Docs(_ALERT, _alert, query=_ALERT_FOR),
}
