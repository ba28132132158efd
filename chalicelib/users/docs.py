"""Documentation of the users' routes."""

from chalicelib.openapi.docs import ACTIVE, Docs, listing
from chalicelib.openapi.examples import AT, USER_ID
from chalicelib.openapi.schemas import FLAG, ID, TEXT, TIME, WHOLE, listed, maybe, obj, one_of, page, record
from chalicelib.users.inputs import NewTokenInput, NewUser, Profile, Rotation, SettingsChange
from chalicelib.users.models import Settings, User

_USER = record(User, user_id=ID, referred_by_id=maybe(ID), created_at=maybe(TIME), updated_at=maybe(TIME))
_SETTINGS = record(Settings, user_id=ID)
_TOKEN = obj(
    token_id=maybe(TEXT),
    user_id=ID,
    kind=one_of("webhook", "api"),
    name=maybe(TEXT),
    chosen=FLAG,
    is_active=FLAG,
    created_at=TIME,
    expires_at=maybe(TIME),
    revoked_at=maybe(TIME),
    signals_per_minute=maybe(WHOLE),
    scope={"enum": ["read", "trade", "manage", "admin", None]},
    allowed_addresses=listed(TEXT),
    made_by=maybe(TEXT),
    last_used_at=maybe(TIME),
)
_NEW_TOKEN = obj(token=TEXT, token_id=TEXT, kind=TEXT, user_id=ID)
_CODE = obj(user_id=ID, code=TEXT)

_user = {
    "user_id": USER_ID,
    "user_uuid": "dc0ff3f1-ed44-4269-8980-9fa5fa5ef365",
    "role": "user",
    "is_active": True,
    "telegram_id": 456789,
    "username": "testuser",
    "first_name": "Test",
    "last_name": "User",
    "referral_code": "refABC123",
    "referred_by_id": None,
    "created_at": AT,
    "updated_at": AT,
    "version": 1,
}
_settings = {
    "user_id": USER_ID,
    "market_type": "futures",
    "account_type": "demo",
    "trade_amount": 100,
    "leverage": 10,
    "exchange": "binance",
    "margin_mode": "cross",
    "default_account": "策略A",
    "require_token": True,
    "repeat_window_s": 30,
    "max_age_s": 60,
    "max_price_deviation_percent": 10,
    "signals_per_minute": 1000,
    "allowed_addresses": ["tradingview"],
    "version": 2,
}
_token = {
    "token_id": "8cebc8a7922c43f3",
    "user_id": USER_ID,
    "kind": "webhook",
    "name": "TradingView",
    "chosen": False,
    "is_active": True,
    "created_at": AT,
    "expires_at": None,
    "revoked_at": None,
    "signals_per_minute": None,
    "scope": None,
    "allowed_addresses": ["tradingview"],
    "made_by": "51cc7d0a9e2b4f18",
    "last_used_at": AT,
}
_new_token = _token | {"token": f"whk_{USER_ID}_…"}
_code = {"user_id": USER_ID, "code": f"xc_{USER_ID}_…"}
_changed_settings = {"market_type": "futures", "trade_amount": 100.0, "leverage": 10, "account_type": "demo"}
_FILTERS = {
    **ACTIVE,
    "role": one_of("admin", "user"),
    **dict.fromkeys(("username", "user_uuid", "referral_code"), TEXT),
}

DOCS = {
    "GET /users": Docs(
        page(_USER), listing(_user), query={**_FILTERS, "telegram_id": ID, "referred_by_id": ID}, paged=True
    ),
    "POST /users": Docs(
        _USER, _user, 201, NewUser, {"user_id": USER_ID}, errors=(409, 422), idempotency_key=True
    ),
    "GET /users/{user_id}": Docs(_USER, _user),
    "PATCH /users/{user_id}": Docs(
        _USER, _user, body=Profile, given={"first_name": "Test", "version": 1}, errors=(409, 422)
    ),
    "POST /users/{user_id}/activate": Docs(_USER, _user, errors=(409,)),
    "POST /users/{user_id}/deactivate": Docs(_USER, _user | {"is_active": False}, errors=(409,)),
    "GET /users/{user_id}/referrals": Docs(page(ID), listing(2), paged=True),
    "GET /users/{user_id}/settings": Docs(_SETTINGS, _settings),
    "PATCH /users/{user_id}/settings": Docs(
        _SETTINGS, _settings, body=SettingsChange, given=_changed_settings, errors=(409, 422)
    ),
    "GET /users/{user_id}/tokens": Docs(
        page(_TOKEN), listing(_token), query={"kind": one_of("webhook", "api")}, paged=True
    ),
    "POST /users/{user_id}/tokens": Docs(
        _NEW_TOKEN,
        _new_token,
        201,
        NewTokenInput,
        {"kind": "webhook", "name": "TradingView"},
        errors=(409, 422),
    ),
    "POST /users/{user_id}/tokens/{token_id}/rotate": Docs(
        _NEW_TOKEN, _new_token, 201, Rotation, {"overlap_s": 3600}, errors=(409, 422)
    ),
    "DELETE /users/{user_id}/tokens/{token_id}": Docs(
        obj(token_id=TEXT, is_active=FLAG, revoked=WHOLE),
        {"token_id": "8cebc8a7922c43f3", "is_active": False, "revoked": 1},
        errors=(409,),
    ),
    "DELETE /users/{user_id}/tokens": Docs(
        obj(user_id=ID, revoked=WHOLE), {"user_id": USER_ID, "revoked": 3}, errors=(409,)
    ),
    "GET /users/{user_id}/xc-code": Docs(_CODE, _code, errors=(409,)),
    "POST /users/{user_id}/xc-code": Docs(_CODE, _code, 201, errors=(409,)),
}
