"""Documentation of the webhook routes."""

from typing import Any

from chalicelib.openapi.docs import ACTIVE, WINDOW, Docs, listing
from chalicelib.openapi.examples import AT
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
)

_NAME = {**TEXT, "minLength": 1, "maxLength": 100}
_FIELDS: dict[str, Any] = {
    "name": _NAME,
    "url": {**TEXT, "maxLength": 2048},
    "event_type": {
        **TEXT,
        "description": "A type, or a wildcard such as `order.*`; `event_types` takes a list",
    },
    "event_types": listed(TEXT),
    "description": maybe({**TEXT, "maxLength": 500}),
    "filter": maybe(OBJECT),
    "headers": maybe(OBJECT),
    "rate_limit": maybe({**WHOLE, "minimum": 1, "maximum": 1000}),
    "format": TEXT,
}
_SECRET = {"secret": maybe({**TEXT, "maxLength": 256})}
_CLOSED = {"additionalProperties": False}
_NEW = {
    **_CLOSED,
    "type": "object",
    "properties": {**_FIELDS, **ACTIVE, **_SECRET, "scope": TEXT, "user_id": ID},
    "required": ["name", "url"],
}
_CHANGE = {**_CLOSED, "type": "object", "properties": {**_FIELDS, **ACTIVE}}
_WEBHOOK = obj(
    id=WHOLE,
    name=TEXT,
    url=TEXT,
    event_type=TEXT,
    event_types=listed(TEXT),
    description=maybe(TEXT),
    is_active=FLAG,
    status=TEXT,
    disabled_reason=maybe(TEXT),
    failing_since=maybe(TIME),
    scope=TEXT,
    user_id=maybe(ID),
    filter=OBJECT,
    headers=OBJECT,
    rate_limit=maybe(WHOLE),
    format=TEXT,
    secrets=WHOLE,
    success_count=WHOLE,
    failure_count=WHOLE,
    last_triggered_at=maybe(TEXT),
    created_at=TIME,
    updated_at=TIME,
)
_WITH_SECRET = {"allOf": [_WEBHOOK, obj(secret=TEXT)]}
_DELIVERY = obj(
    id=TEXT,
    webhook_id=WHOLE,
    event_id=TEXT,
    event_type=TEXT,
    entity=maybe(TEXT),
    sequence=maybe(WHOLE),
    payload=OBJECT,
    status=one_of("pending", "success", "failed"),
    state=TEXT,
    attempt_number=WHOLE,
    response_status=maybe(WHOLE),
    error_message=maybe(TEXT),
    duration_ms=maybe(NUMBER),
    created_at=TEXT,
    delivered_at=maybe(TIME),
    next_retry_at=maybe(TIME),
)
_FIGURES = {
    "total_deliveries": WHOLE,
    "successful_deliveries": WHOLE,
    "failed_deliveries": WHOLE,
    "pending_deliveries": WHOLE,
    "success_rate": NUMBER,
    "totals": OBJECT,
    "lag_s": {
        **NUMBER,
        "description": "Age of the oldest event of the stream that has not become deliveries yet, seconds",
    },
}
_TYPE = obj(name=TEXT, description=TEXT, schema=OBJECT, example=OBJECT)
_webhook = {
    "id": 1,
    "name": "My Webhook",
    "url": "https://example.com/webhook",
    "event_type": "user.created",
    "event_types": ["user.created"],
    "description": "Webhook для новых пользователей",
    "is_active": True,
    "status": "active",
    "disabled_reason": None,
    "failing_since": None,
    "scope": "user",
    "user_id": 2,
    "filter": {},
    "headers": {},
    "rate_limit": None,
    "format": "plain",
    "secrets": 1,
    "success_count": 0,
    "failure_count": 0,
    "last_triggered_at": None,
    "created_at": AT,
    "updated_at": AT,
}
_delivery = {
    "id": "msg_2c26b46b68ffc68ff99b453c1d304134",
    "webhook_id": 1,
    "event_id": "05c6",
    "event_type": "user.created",
    "entity": "user#123",
    "sequence": 1,
    "payload": {"user_id": 123},
    "status": "success",
    "state": "delivered",
    "attempt_number": 1,
    "response_status": 200,
    "error_message": None,
    "duration_ms": 31,
    "created_at": AT,
    "delivered_at": AT,
    "next_retry_at": None,
}
_figures = {
    "total_deliveries": 3,
    "successful_deliveries": 3,
    "failed_deliveries": 0,
    "pending_deliveries": 0,
    "success_rate": 100,
    "totals": {"matched": 3, "delivered": 3, "pending": 0, "paused": 0, "dead": 0, "equal": True},
    "lag_s": 0,
}
_new = {
    "name": "My Webhook",
    "url": "https://example.com/webhook",
    "event_type": "user.created",
    "secret": "optional-secret-for-signing",
    "description": "Webhook для новых пользователей",
}
_STATES = one_of("active", "paused", "disabled")
_STATUS = {
    "status": one_of("pending", "success", "failed", "all"),
    "state": one_of("pending", "paused", "delivered", "dead"),
    "event_type": TEXT,
}
_BUSY = (400, 409)

DOCS = {
    "POST /webhooks": Docs(
        _WITH_SECRET,
        _webhook | {"secret": "optional-secret-for-signing"},
        201,
        _NEW,
        _new,
        errors=(404, 409, 422),
    ),
    "GET /webhooks": Docs(
        page(_WEBHOOK), listing(_webhook), query={"event_type": TEXT, **ACTIVE, "status": _STATES}, paged=True
    ),
    "GET /webhooks/stats": Docs(
        obj(
            total_webhooks=WHOLE,
            active_webhooks=WHOLE,
            webhooks=listed(obj(id=WHOLE, **_FIGURES)),
            **_FIGURES,
        ),
        {"total_webhooks": 1, "active_webhooks": 1, "webhooks": [{"id": 1, **_figures}], **_figures},
    ),
    "GET /webhooks/{webhook_id}": Docs(_WEBHOOK, _webhook),
    "PATCH /webhooks/{webhook_id}": Docs(
        _WEBHOOK,
        _webhook,
        body=_CHANGE,
        given={"name": "Updated Name", "is_active": False},
        errors=(409, 422),
    ),
    "DELETE /webhooks/{webhook_id}": Docs(
        obj(id=WHOLE, deleted=FLAG), {"id": 1, "deleted": True}, errors=(409,)
    ),
    "GET /webhooks/{webhook_id}/stats": Docs(
        obj(id=WHOLE, recent=OBJECT, **_FIGURES),
        {
            "id": 1,
            **_figures,
            "recent": {"deliveries": 3, "success_rate": 100, "p50_ms": 31, "p95_ms": 40, "p99_ms": 40},
        },
    ),
    "POST /webhooks/{webhook_id}/pause": Docs(_WEBHOOK, _webhook | {"is_active": False}, errors=_BUSY),
    "POST /webhooks/{webhook_id}/resume": Docs(_WEBHOOK, _webhook, errors=_BUSY),
    "POST /webhooks/{webhook_id}/test": Docs(
        obj(status=one_of("success", "failed"), request=OBJECT, response=OBJECT),
        {"status": "success", "request": {"url": "https://example.com/webhook"}, "response": {"status": 200}},
        body={**_CLOSED, **obj({"event_type": maybe(TEXT)})},
        given={"event_type": "user.created"},
        errors=(409, 422),
    ),
    "POST /webhooks/{webhook_id}/rotate-secret": Docs(
        _WITH_SECRET,
        _webhook | {"secret": "whsec_…"},
        body={**_CLOSED, **obj({**_SECRET, "overlap_s": {**WHOLE, "minimum": 0, "maximum": 604800}})},
        given={"overlap_s": 3600},
        errors=(409, 422),
    ),
    "POST /webhooks/{webhook_id}/replay": Docs(
        obj(replayed=WHOLE, next=maybe(TEXT)),
        {"replayed": 3, "next": None},
        202,
        {**_CLOSED, **obj({**_STATUS, **WINDOW, "cursor": TEXT})},
        {"status": "failed"},
        errors=(409, 422),
    ),
    "GET /webhooks/{webhook_id}/deliveries": Docs(
        page(_DELIVERY), listing(_delivery), query={**_STATUS, **WINDOW}, paged=True
    ),
    "GET /webhooks/{webhook_id}/deliveries/{delivery_id}": Docs(
        {"allOf": [_DELIVERY, obj(attempts=listed(OBJECT))]},
        _delivery | {"attempts": [{"number": 1, "response_status": 200}]},
    ),
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/replay": Docs(
        _DELIVERY, _delivery, 202, errors=_BUSY
    ),
    "GET /event-types": Docs(
        page(_TYPE),
        listing(
            {
                "name": "user.created",
                "description": "A user has been created",
                "schema": {"type": "object"},
                "example": {},
            }
        ),
        paged=True,
    ),
}
