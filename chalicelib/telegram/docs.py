"""Documentation of the routes of the Telegram bot."""

from chalicelib.openapi.docs import Docs
from chalicelib.openapi.examples import AT, USER_ID
from chalicelib.openapi.schemas import ID, TEXT, TIME, WHOLE, listed, maybe, obj, one_of
from chalicelib.telegram.receive import Update
from chalicelib.telegram.routes import Preferences

_SHOWN = obj(
    user_id=ID, telegram_id=maybe(WHOLE), telegram_events=listed(TEXT), language=maybe(TEXT), version=WHOLE
)
_LINK = obj(user_id=ID, code=TEXT, command=TEXT, url=maybe(TEXT), expires_at=TIME)
_shown = {
    "user_id": USER_ID,
    "telegram_id": 456789,
    "telegram_events": ["order.*"],
    "language": "ko",
    "version": 1,
}
_link = {
    "user_id": USER_ID,
    "code": "k3Jm",
    "command": "/start k3Jm",
    "url": "https://t.me/your_bot?start=k3Jm",
    "expires_at": AT,
}
_update = {
    "update_id": 1,
    "message": {"chat": {"id": 456789, "type": "private"}, "from": {"id": 456789}, "text": "/xc"},
}

DOCS = {
    "POST /telegram/webhook": Docs(
        obj(status=one_of("ok")), {"status": "ok"}, body=Update, given=_update, security="telegram"
    ),
    "GET /users/{user_id}/telegram": Docs(_SHOWN, _shown),
    "PATCH /users/{user_id}/telegram": Docs(
        _SHOWN,
        _shown,
        body=Preferences,
        given={"telegram_events": ["order.*"], "language": "ko"},
        errors=(409, 422),
    ),
    "POST /users/{user_id}/telegram-link": Docs(_LINK, _link, 201, errors=(409,)),
    "DELETE /users/{user_id}/telegram-link": Docs(_SHOWN, _shown | {"telegram_id": None}, errors=(409,)),
}
