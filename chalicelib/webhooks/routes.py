"""The webhook API. Each route covers the caller's own subscriptions.

An administrator's calls cover all subscriptions.
"""

from datetime import datetime
from typing import Any

from chalicelib import aws, inputs, paging
from chalicelib.errors import NotFound, Refused
from chalicelib.events import event_types
from chalicelib.events.event_types import type_matches
from chalicelib.http import Answer, Request, Route
from chalicelib.users import access
from chalicelib.users.access import Caller
from chalicelib.users.models import Role
from chalicelib.webhooks import audit, bodies, endpoint_store, manage, views
from chalicelib.webhooks.delivery import delivery_store, lag, replay, sweep, worker
from chalicelib.webhooks.models import Delivery, State, Status, Webhook, stamp

_RECENT = 200  # deliveries that count for success rate and latency
_REPLAYED_AT_ONCE = 200
_BY_STATUS = {
    "pending": "#state IN ( :pending, :paused ) AND failed = :no",
    "success": "#state = :delivered",
    "failed": "#state <> :delivered AND ( failed = :yes OR #state = :dead )",
}
_FILTERS = ("status", "state", "event_type", "since", "until")
_NEW = (*bodies.SUBSCRIPTION, "secret", "scope", "user_id")
_VALUES: dict[str, Any] = {state.value: state.value for state in State} | {"yes": True, "no": False}


def create_webhook(request: Request) -> Answer:
    """POST /webhooks. Only this answer shows the secret."""
    webhook, secret = manage.create(bodies.parse_body(request, _NEW), access.caller(request), _now())
    return Answer(201, _webhook_view(webhook) | {"secret": secret})


def list_webhooks(request: Request) -> Answer:
    """GET /webhooks?event_type&is_active&status&limit&offset."""
    page = paging.page_request(request)
    event_type, active = request.query.get("event_type"), inputs.flag(request, "is_active")
    status = inputs.choice(
        request, "status", (Status.ACTIVE.value, Status.PAUSED.value, Status.DISABLED.value)
    )
    found = [
        webhook
        for webhook in _visible(access.caller(request))
        if (event_type is None or any(type_matches(pattern, event_type) for pattern in webhook.event_types))
        and (active is None or webhook.is_active is active)
        and (status is None or webhook.status.value == status)
    ]
    offset = paging.start_of(page)
    part = found[offset : offset + page.limit]
    shards = endpoint_store.shards(webhook.webhook_id for webhook in part)

    def view(webhook: Webhook) -> dict[str, Any]:
        counters = shards[webhook.webhook_id]
        return views.webhook(webhook, counters, endpoint_store.total(counters))

    items = [paging.shown(view, webhook) for webhook in part]
    return paging.list_response(
        items, len(found), {"offset": offset + page.limit} if offset + page.limit < len(found) else None
    )


def get_webhook(request: Request) -> Answer:
    """GET /webhooks/{webhook_id}."""
    return Answer(200, _webhook_view(_requested_webhook(request)))


def update_webhook(request: Request) -> Answer:
    """PATCH /webhooks/{webhook_id}. The answer has a new secret if the URL has another host."""
    if not request.body.strip():
        raise Refused("no_data")
    body = bodies.parse_body(request, bodies.SUBSCRIPTION)
    webhook, secret = manage.update(_requested_webhook(request), body, _now(), by=_by(request))
    return Answer(200, _webhook_view(webhook) | ({"secret": secret} if secret else {}))


def delete_webhook(request: Request) -> Answer:
    """DELETE /webhooks/{webhook_id}."""
    webhook = _requested_webhook(request)
    manage.delete(webhook, _now(), by=_by(request))
    return Answer(200, {"id": webhook.webhook_id, "deleted": True})


def pause_webhook(request: Request) -> Answer:
    """POST /webhooks/{webhook_id}/pause: deliveries wait from now on."""
    return Answer(
        200, _webhook_view(manage.switch(_requested_webhook(request), _now(), on=False, by=_by(request)))
    )


def resume_webhook(request: Request) -> Answer:
    """POST /webhooks/{webhook_id}/resume.

    Paused deliveries go out, also those of a disabled endpoint.
    """
    return Answer(
        200, _webhook_view(manage.switch(_requested_webhook(request), _now(), on=True, by=_by(request)))
    )


def rotate_secret(request: Request) -> Answer:
    """POST /webhooks/{webhook_id}/rotate-secret {secret?, overlap_s?}."""
    webhook, secret = manage.rotate(
        _requested_webhook(request),
        bodies.parse_body(request, ("secret", "overlap_s")),
        _now(),
        by=_by(request),
    )
    return Answer(200, _webhook_view(webhook) | {"secret": secret})


def test_webhook(request: Request) -> Answer:
    """POST /webhooks/{webhook_id}/test {event_type?}: sends an example and answers its outcome."""
    webhook = _requested_webhook(request)
    outcome, sent = manage.test(
        webhook, bodies.event_type(bodies.parse_body(request, ("event_type",))), worker.dependencies()
    )
    return Answer(
        200,
        {
            "status": "failed" if outcome.error else "success",
            "request": sent,
            "response": outcome.model_dump(mode="json"),
        },
    )


def all_stats(request: Request) -> Answer:
    """GET /webhooks/stats: the figures of all the caller's subscriptions, and of each one."""
    webhooks = _visible(access.caller(request))
    shards = endpoint_store.shards(webhook.webhook_id for webhook in webhooks)
    unequal = sweep.unbalanced_endpoints(shards)
    total = endpoint_store.total([item for items in shards.values() for item in items])
    behind = lag.lags({webhook.stream for webhook in webhooks}, _now())
    streams = {webhook.webhook_id: webhook.stream for webhook in webhooks}
    return Answer(
        200,
        {
            "total_webhooks": len(webhooks),
            "active_webhooks": sum(webhook.is_active for webhook in webhooks),
            **views.figures(total, equal=not unequal),
            "lag_s": max(behind.values(), default=0),
            "webhooks": [
                {"id": webhook_id, "lag_s": behind[streams[webhook_id]]}
                | views.figures(endpoint_store.total(items), equal=webhook_id not in unequal)
                for webhook_id, items in shards.items()
            ],
        },
    )


def stats(request: Request) -> Answer:
    """GET /webhooks/{webhook_id}/stats: its figures, and rate and latency of its recent deliveries."""
    webhook = _requested_webhook(request)
    webhook_id = webhook.webhook_id
    shards = endpoint_store.shards([webhook_id])
    behind = lag.lags([webhook.stream], _now())[webhook.stream]
    items, _ = aws.query_page(
        delivery_store.TABLE,
        "webhook_id = :id",
        index="by_webhook",
        newest_first=True,
        limit=_RECENT,
        id=webhook_id,
    )
    recent = views.latency([delivery_store.from_item(item) for item in items])
    return Answer(
        200,
        views.figures(endpoint_store.total(shards[webhook_id]), equal=not sweep.unbalanced_endpoints(shards))
        | {"id": webhook_id, "lag_s": behind, "recent": recent},
    )


def list_deliveries(request: Request) -> Answer:
    """GET /webhooks/{webhook_id}/deliveries: the newest first.

    Query: status, state, event_type, since, until, limit, offset, cursor.
    """
    webhook_id = _requested_webhook(request).webhook_id
    condition, filters = _delivery_query(webhook_id, request.query)
    return paging.answer(
        delivery_store.TABLE,
        condition,
        paging.page_request(request),
        _delivery_view,
        index="by_webhook",
        newest_first=True,
        **filters,
    )


def get_delivery(request: Request) -> Answer:
    """GET /webhooks/{webhook_id}/deliveries/{delivery_id}, with its attempts."""
    delivery = _delivery(request, _requested_webhook(request))
    attempts = aws.query_all(
        delivery_store.TABLE,
        "id = :id AND begins_with( part, :attempts )",
        id=delivery.delivery_id,
        attempts="attempt#",
    )
    return Answer(200, views.delivery(delivery) | {"attempts": [views.attempt(item) for item in attempts]})


def replay_delivery(request: Request) -> Answer:
    """POST /webhooks/{webhook_id}/deliveries/{delivery_id}/replay."""
    webhook = _requested_webhook(request)
    delivery_id = _delivery(request, webhook).delivery_id
    replayed = replay.replay_one(delivery_id, webhook, _now())
    aws.write(audit.replayed(webhook, _by(request), _now(), {"delivery_id": delivery_id}))
    return Answer(202, views.delivery(replayed))


def replay_deliveries(request: Request) -> Answer:
    """POST /webhooks/{webhook_id}/replay {status?, state?, event_type?, since?, until?, cursor?}.

    Default: failed deliveries.

    Each call replays some deliveries and gives a cursor for the next call, until `next` is null.
    """
    webhook = _requested_webhook(request)
    body = bodies.parse_body(request, (*_FILTERS, "cursor"))
    wanted = {name: str(body[name]) for name in (*_FILTERS, "cursor") if body.get(name)}
    if not wanted.keys() & set(_FILTERS):
        wanted["status"] = "failed"
    condition, filters = _delivery_query(webhook.webhook_id, wanted)
    page = paging.page_request(
        Request(**{**{name: getattr(request, name) for name in Request.__slots__}, "query": wanted})
    )
    with paging.cursor_checked(page, delivery_store.TABLE, "by_webhook"):
        items, next_key = aws.query_page(
            delivery_store.TABLE,
            condition,
            index="by_webhook",
            limit=_REPLAYED_AT_ONCE,
            start=page.start,
            **filters,
        )
    aws.write(audit.replayed(webhook, _by(request), _now(), {**wanted, "deliveries": len(items)}))
    replayed = replay.replay((item["id"] for item in items), webhook, _now())
    listed = paging.list_response([], None, next_key).body
    return Answer(202, {"replayed": replayed, "next": listed["next"] if isinstance(listed, dict) else None})


def list_event_types(request: Request) -> Answer:
    """GET /event-types: each type with its JSON Schema and an example."""
    access.caller(request)
    return paging.part(request, event_types.EVENT_TYPES, _event_type_view)


def _event_type_view(shown: event_types.EventType) -> dict[str, Any]:
    return {
        "name": shown.name,
        "description": shown.description,
        "schema": shown.json_schema,
        "example": dict(shown.example),
    }


def _requested_webhook(request: Request) -> Webhook:
    return manage.visible(request.path["webhook_id"], access.caller(request))


def _by(request: Request) -> str:
    return access.caller(request).user_id


def _visible(caller: Caller) -> list[Webhook]:
    return endpoint_store.list_page(None if caller.role is Role.ADMIN else f"user#{caller.user_id}")


def _webhook_view(webhook: Webhook) -> dict[str, Any]:
    shards = endpoint_store.shards([webhook.webhook_id])[webhook.webhook_id]
    return views.webhook(webhook, shards, endpoint_store.total(shards))


def _delivery(request: Request, webhook: Webhook) -> Delivery:
    delivery = delivery_store.get(request.path["delivery_id"])
    if delivery is None or delivery.webhook_id != webhook.webhook_id:
        raise NotFound("not_found")
    return delivery


def _delivery_view(item: aws.Item) -> dict[str, Any]:
    return views.delivery(delivery_store.from_item(item))


def _delivery_query(webhook_id: int, query: Any) -> tuple[str, dict[str, Any]]:
    """Returns the query for a subscription's deliveries: condition, and filter with its values."""
    condition = "webhook_id = :id"
    values: dict[str, Any] = {"id": webhook_id}
    if "since" in query or "until" in query:
        condition += " AND placed BETWEEN :since AND :until"
        since = _moment(query, "since", "0")
        values |= {
            "since": since,
            "until": max(since, _moment(query, "until", "9")) + "~",
        }  # DynamoDB refuses a range that runs backwards
    conditions = []
    status, state = query.get("status"), query.get("state")
    if status not in (None, "all"):
        if status not in _BY_STATUS:
            raise Refused("invalid_choice", field="status", allowed=", ".join(_BY_STATUS))
        conditions.append(f"({_BY_STATUS[status]})")
        values |= {
            name: value
            for name, value in _VALUES.items()
            if f":{name} " in f"{_BY_STATUS[status]} ".replace(",", " ")
        }
    if state is not None:
        if state not in list(State):
            raise Refused("invalid_choice", field="state", allowed=", ".join(State))
        conditions.append("#state = :wanted_state")
        values["wanted_state"] = state
    if event_type := query.get("event_type"):
        conditions.append("#type = :event_type")
        values["event_type"] = event_type
    return condition, values | ({"filter_expression": " AND ".join(conditions)} if conditions else {})


def _moment(query: Any, name: str, default: str) -> str:
    return stamp(inputs.moment(query[name], name)) if name in query else default


def _now() -> datetime:
    return worker.dependencies().clock()


ROUTES: list[Route] = [
    Route("POST", "/webhooks", create_webhook),
    Route("GET", "/webhooks", list_webhooks),
    Route("GET", "/webhooks/stats", all_stats),
    Route("GET", "/webhooks/{webhook_id}", get_webhook),
    Route("PATCH", "/webhooks/{webhook_id}", update_webhook),
    Route("DELETE", "/webhooks/{webhook_id}", delete_webhook),
    Route("GET", "/webhooks/{webhook_id}/stats", stats),
    Route("POST", "/webhooks/{webhook_id}/pause", pause_webhook),
    Route("POST", "/webhooks/{webhook_id}/resume", resume_webhook),
    Route("POST", "/webhooks/{webhook_id}/test", test_webhook),
    Route("POST", "/webhooks/{webhook_id}/rotate-secret", rotate_secret),
    Route("POST", "/webhooks/{webhook_id}/replay", replay_deliveries),
    Route("GET", "/webhooks/{webhook_id}/deliveries", list_deliveries),
    Route("GET", "/webhooks/{webhook_id}/deliveries/{delivery_id}", get_delivery),
    Route("POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/replay", replay_delivery),
    Route("GET", "/event-types", list_event_types),
]
