"""Audit entries for changes of subscriptions, and the notice of a new one to the admins."""

from datetime import datetime
from typing import Any

from chalicelib import aws
from chalicelib.audit import record
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.webhooks.models import Webhook

_SHOWN = ("name", "url", "event_types", "scope", "description", "filter", "rate_limit", "format", "status")


def write(action: str, by: str, now: datetime, before: Webhook | None, after: Webhook | None) -> aws.Write:
    """Returns the audit entry of a change: the fields that differ, without secrets and header values."""
    subject = after or before
    assert subject is not None
    was, is_ = _visible_fields(before), _visible_fields(after)
    old = {name: value for name, value in was.items() if name not in is_ or is_[name] != value}
    new = {name: value for name, value in is_.items() if name not in was or was[name] != value}
    return record.write(
        record.Change(by, action, f"webhook#{subject.webhook_id}", subject.owner, now, old, new)
    )


def replayed(webhook: Webhook, by: str, now: datetime, what: dict[str, Any]) -> aws.Write:
    """Returns the audit entry of replayed deliveries."""
    return record.write(
        record.Change(by, "webhook.replayed", f"webhook#{webhook.webhook_id}", webhook.owner, now, after=what)
    )


def created(webhook: Webhook, now: datetime) -> aws.Write:
    """Returns the event `webhook.created` for the admins."""
    entity = f"webhook#{webhook.webhook_id}"
    payload = {
        "webhook_id": webhook.webhook_id,
        "name": webhook.name,
        "scope": webhook.scope.value,
        "owner": webhook.owner,
    }
    event = Event(
        event_id=event_id("webhook.created", entity),
        type="webhook.created",
        payload=payload,
        entity=entity,
        user_id=None,
        created_at=now,
    )
    return outbox.event_write(event)


def _visible_fields(webhook: Webhook | None) -> dict[str, Any]:
    if webhook is None:
        return {}
    shown = webhook.model_dump(include=set(_SHOWN), mode="json", exclude_none=True) | {
        "filter": dict(webhook.filter)
    }
    return shown | {"headers": sorted(webhook.headers), "secrets": len(webhook.secrets)}
