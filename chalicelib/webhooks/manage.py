"""Use cases of the webhook API: create, change, pause, resume, rotate, test and delete subscriptions."""

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from chalicelib import aws
from chalicelib.errors import Conflict, Forbidden, NotDoable, NotFound, Refused, TooMany
from chalicelib.events import event_types
from chalicelib.http import is_id
from chalicelib.users import store as users
from chalicelib.users.access import Caller
from chalicelib.users.entitlement import entitled
from chalicelib.users.models import Role
from chalicelib.webhooks import audit, bodies, endpoint_store
from chalicelib.webhooks.delivery import circuit_breaker, delivery_store, lag, queue, sign, ssrf_guard
from chalicelib.webhooks.delivery.deliver import Dependencies
from chalicelib.webhooks.delivery.queue import Message, Task
from chalicelib.webhooks.models import ADMIN_STREAM, Outcome, Scope, Secret, Status, Webhook, canonical, stamp

_MOST_PER_USER = 50
_MOST_SECRETS = 5
_TRIES = 5


def new_secret() -> str:
    """Returns a new secret as in Standard Webhooks 1.0.0: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def create(body: Mapping[str, Any], caller: Caller, now: datetime) -> tuple[Webhook, str]:
    """Creates a subscription. Returns the subscription and its secret, which is shown only this once."""
    for name in ("name", "url"):
        bodies.text(body, name)
    given = bodies.changes({"event_type": None, **body} if "event_types" not in body else body)
    ssrf_guard.check(given["url"], ssrf_guard.Policy.of_deployment())
    scope, owner = _scope(body, caller)
    stream = ADMIN_STREAM if scope is Scope.ADMIN else f"user#{owner}"
    others = endpoint_store.list_page(stream)
    if scope is Scope.USER and len(others) >= _MOST_PER_USER:
        raise NotDoable("too_many_webhooks", limit=_MOST_PER_USER)
    secret = bodies.secret(body) or new_secret()
    active = bodies.flag(body, "is_active")
    webhook = Webhook(
        webhook_id=endpoint_store.next_id(),
        owner=owner,
        scope=scope,
        secrets=(Secret(value=SecretStr(secret)),),
        status=Status.PAUSED if active is False else Status.ACTIVE,
        created_at=now,
        updated_at=now,
        **given,
    )
    also = [audit.write("webhook.created", caller.user_id, now, None, webhook)]
    if scope is Scope.ADMIN:  # all admins are notified of a subscription to everybody's events
        also.append(audit.created(webhook, now))
    endpoint_store.put(webhook, *also)
    if not others:
        lag.start(stream)
    return webhook, secret


def visible(webhook_id: str, caller: Caller) -> Webhook:
    """Returns the subscription if the caller may see it. Raises NotFound otherwise."""
    webhook = (
        endpoint_store.get(int(webhook_id))
        if webhook_id.isascii() and webhook_id.isdigit() and len(webhook_id) < 16  # noqa: PLR2004
        else None
    )
    if webhook is None or webhook.status is Status.DELETED:
        raise NotFound("not_found")
    caller.require_owner(webhook.owner if webhook.scope is Scope.USER else None)
    return webhook


def update(
    webhook: Webhook, body: Mapping[str, Any], now: datetime, *, by: str
) -> tuple[Webhook, str | None]:
    """Applies a PATCH to a subscription. `is_active` pauses and resumes.

    A new host gets nothing that was meant for the old one: custom headers are dropped unless the request
    sends them again, and a new secret is made.

    Returns:
        The subscription, and the new secret if one was made. The secret is shown only this once.
    """
    given = bodies.changes(body)
    active = bodies.flag(body, "is_active")
    secret = None
    if "url" in given:
        ssrf_guard.check(given["url"], ssrf_guard.Policy.of_deployment())
        if _origin(given["url"]) != _origin(webhook.url):
            secret = new_secret()
            given = {"headers": {}} | given | {"secrets": (Secret(value=SecretStr(secret)),)}
    if active is not None and active is not webhook.is_active:
        return switch(webhook, now, on=active, by=by, **given), secret
    given = {name: value for name, value in given.items() if getattr(webhook, name) != value}
    return (_store(webhook, now, by, "webhook.updated", **given) if given else webhook), secret


def switch(webhook: Webhook, now: datetime, *, on: bool, by: str, **changes: Any) -> Webhook:
    """Pauses or resumes a subscription, with other changes.

    Deliveries wait while the subscription is paused and go out when it is resumed.
    """
    for _ in range(_TRIES):
        changed = webhook.model_copy(update=changes)
        after = changed.model_copy(
            update={"status": Status.ACTIVE if on else Status.PAUSED, "updated_at": _after(webhook, now)}
        )
        audited = audit.write("webhook.resumed" if on else "webhook.paused", by, now, webhook, after)
        try:
            if on and not webhook.is_active:
                _require_entitled(webhook)
                return circuit_breaker.switch_on(changed, after.updated_at, audited)
            if not on and webhook.is_active:
                endpoint_store.put(after, audited, seen=webhook.updated_at)
                return after
        except aws.WriteRefused:
            webhook = endpoint_store.get(webhook.webhook_id) or webhook
        else:
            return webhook
    raise Conflict("changed_meanwhile")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _require_entitled(webhook: Webhook) -> None:
    """Raises Forbidden unless the subscription's owner may read its stream."""
    owner = users.user(webhook.owner)
    if not owner.is_active:
        raise Forbidden("user_not_active")
    if not entitled(owner, webhook.stream):
        raise Forbidden("admin_only")


def rotate(webhook: Webhook, body: Mapping[str, Any], now: datetime, *, by: str) -> tuple[Webhook, str]:
    """Makes a new secret. The older secrets keep signing until the overlap is over."""
    secret = bodies.secret(body) or new_secret()
    ends = now + bodies.overlap(body)
    kept = [
        Secret(value=old.value, expires_at=min(old.expires_at or ends, ends))
        for old in webhook.active_secrets(now)
        if old.value.get_secret_value() != secret
    ]
    rotated = (
        Secret(value=SecretStr(secret)),
        *(old for old in kept if old.expires_at and old.expires_at > now),
    )
    return _store(webhook, now, by, "webhook.secret_rotated", secrets=rotated[:_MOST_SECRETS]), secret


def delete(webhook: Webhook, now: datetime, *, by: str) -> None:
    """Deletes a subscription. Gives up its undelivered deliveries; the history stays for a while."""
    deleted = webhook.model_copy(update={"status": Status.DELETED, "updated_at": _after(webhook, now)})
    try:
        audited = audit.write("webhook.deleted", by, now, webhook, None)
        endpoint_store.put(
            deleted,
            circuit_breaker.plan_task_write(webhook.webhook_id, Task.DRAIN, now + delivery_store.GRACE),
            audited,
            seen=webhook.updated_at,
        )
    except aws.WriteRefused:
        raise Conflict("changed_meanwhile") from None
    queue.send([(Message(task=Task.DRAIN, webhook_id=webhook.webhook_id), now)], now)


def test(
    webhook: Webhook, event_type: str | None, dependencies: Dependencies
) -> tuple[Outcome, dict[str, Any]]:
    """Sends one example event now, through the same guard and HTTP client as a delivery.

    The counters do not include the test. Returns the outcome, and the request as the history would show it.
    """
    example = event_types.find(event_type or "webhook.test")
    if example is None:
        raise NotFound("unknown_event_type", event_type=str(event_type)[:100])
    now = dependencies.clock()
    if webhook.rate_limit and endpoint_store.slot_at(webhook, now) > now:
        raise TooMany("too_many_requests", retry_after=1)
    message_id = f"msg_test{secrets.token_hex(12)}"
    body = canonical(_envelope(webhook, example, message_id, now))
    named = {"event_id": message_id, "message_id": message_id}  # the example is not an event of a stream
    headers = sign.headers(webhook, event_type=example.name, sequence=0, body=body, now=now, **named)
    return dependencies.post(webhook.url, headers, body), {
        "headers": sign.mask_headers(headers, webhook),
        "body": body,
    }


def _envelope(
    webhook: Webhook, example: event_types.EventType, message_id: str, now: datetime
) -> Mapping[str, Any]:
    if webhook.format.value == "plain":
        return example.example
    return {
        "id": message_id,
        "event_id": message_id,
        "type": example.name,
        "timestamp": stamp(now),
        "sequence": 0,
        "data": example.example,
    }


def _scope(body: Mapping[str, Any], caller: Caller) -> tuple[Scope, str]:
    user_id, asked = body.get("user_id"), body.get("scope")
    if asked is not None and asked not in list(Scope):
        raise NotDoable("invalid_choice", field="scope", allowed=", ".join(Scope))
    if asked == Scope.ADMIN:
        caller.require_admin()
    owner = caller.owner_of(_shown_user(user_id))
    if asked is None:
        asked = Scope.ADMIN if caller.role is Role.ADMIN and not user_id else Scope.USER
    return Scope(asked), owner


def _shown_user(user_id: Any) -> str | None:
    """Returns a user's id from a body, where it is a number or a text."""
    if user_id is None:
        return None
    if isinstance(user_id, bool) or not isinstance(user_id, (int, str)):
        raise Refused("invalid_text", field="user_id")
    if not is_id(str(user_id)):
        raise Refused("invalid_value", field="user_id")
    return str(user_id)


def _store(webhook: Webhook, now: datetime, by: str, action: str, **changes: Any) -> Webhook:
    changed = webhook.model_copy(update={**changes, "updated_at": _after(webhook, now)})
    try:
        endpoint_store.put(changed, audit.write(action, by, now, webhook, changed), seen=webhook.updated_at)
    except aws.WriteRefused:
        raise Conflict("changed_meanwhile") from None
    return changed


def _after(webhook: Webhook, now: datetime) -> datetime:
    """Returns now, or the first moment after the last change that differs from it.

    `updated_at` detects concurrent changes.
    """
    return max(now, webhook.updated_at + timedelta(milliseconds=1))
