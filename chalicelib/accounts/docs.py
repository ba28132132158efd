"""Documentation of the accounts' routes."""

from chalicelib.accounts.inputs import AccountChange, NewAccount
from chalicelib.accounts.model import Account
from chalicelib.openapi.docs import ACTIVE, OWNER, Docs, listing
from chalicelib.openapi.examples import ACCOUNT_ID, AT, USER_ID
from chalicelib.openapi.schemas import FLAG, ID, TEXT, TIME, WHOLE, maybe, obj, one_of, page, record

_ACCOUNT = record(
    Account,
    ("sealed_keys", "key_version"),
    account_id=ID,
    user_id=ID,
    has_keys=FLAG,
    created_at=maybe(TIME),
    updated_at=maybe(TIME),
    version=WHOLE,
)
_account = {
    "account_id": ACCOUNT_ID,
    "user_id": USER_ID,
    "name": "策略A",
    "exchange": "paper",
    "kind": "paper",
    "currency": "USD",
    "starting_cash": 100000,
    "slippage_bps": 5,
    "commission_bps": 10,
    "fill_rate": 1,
    "is_active": True,
    "market_types": ["spot", "futures"],
    "manage_account_modes": False,
    "verified": None,
    "api_key_last4": None,
    "key_checked_at": None,
    "has_keys": False,
    "created_at": AT,
    "updated_at": AT,
    "version": 1,
}
_new = {"user_id": USER_ID, "name": "策略C", "kind": "paper", "starting_cash": 50000}
_live = {
    "name": "Main Account",
    "kind": "live",
    "exchange": "binance",
    "api_key": "…key…",
    "api_secret": "…secret…",
}
_FILTERS = {**OWNER, **ACTIVE, "kind": one_of("paper", "demo", "live"), "exchange": TEXT}

DOCS = {
    "GET /accounts": Docs(page(_ACCOUNT), listing(_account), query=_FILTERS, paged=True),
    "POST /accounts": Docs(
        _ACCOUNT,
        _account,
        201,
        NewAccount,
        _new,
        {"live": _live},
        errors=(404, 409, 422),
        idempotency_key=True,
    ),
    "GET /accounts/{account_id}": Docs(_ACCOUNT, _account),
    "PATCH /accounts/{account_id}": Docs(
        _ACCOUNT, _account, body=AccountChange, given={"slippage_bps": 2, "version": 1}, errors=(409, 422)
    ),
    "DELETE /accounts/{account_id}": Docs(
        obj(account_id=ID, deleted=FLAG), {"account_id": ACCOUNT_ID, "deleted": True}, errors=(409, 422)
    ),
    "POST /accounts/{account_id}/reset": Docs(_ACCOUNT, _account, errors=(400, 409, 422)),
}
