"""Subscriptions, deliveries and figures as the API shows them.

Secrets and the values of custom headers are never shown.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib import aws
from chalicelib.users.models import shown_id
from chalicelib.webhooks.models import Delivery, Webhook, stamp


def webhook(subscription: Webhook, shards: Sequence[aws.Item], counters: Mapping[str, int]) -> dict[str, Any]:
    """Returns a subscription with its counts."""
    return {
        "id": subscription.webhook_id,
        "name": subscription.name,
        "url": subscription.url,
        "event_type": subscription.event_types[0],
        "event_types": list(subscription.event_types),
        "description": subscription.description,
        "is_active": subscription.is_active,
        "status": subscription.status.value,
        "disabled_reason": subscription.disabled_reason,
        "failing_since": _time(subscription.failing_since),
        "scope": subscription.scope.value,
        "user_id": shown_id(subscription.owner),
        "filter": dict(subscription.filter),
        "headers": dict.fromkeys(subscription.headers, "***"),
        "rate_limit": subscription.rate_limit,
        "format": subscription.format.value,
        "secrets": len(subscription.secrets),
        "success_count": counters["delivered"],
        "failure_count": counters["failing"],
        "last_triggered_at": max(
            (item["last_triggered_at"] for item in shards if "last_triggered_at" in item), default=None
        ),
        "created_at": stamp(subscription.created_at),
        "updated_at": stamp(subscription.updated_at),
    }


def delivery(shown: Delivery) -> dict[str, Any]:
    """Returns a delivery."""
    return {
        "id": shown.delivery_id,
        "webhook_id": shown.webhook_id,
        "event_id": shown.event_id,
        "event_type": shown.type,
        "entity": shown.entity,
        "sequence": shown.sequence,
        "payload": shown.payload,
        "status": shown.status,
        "state": shown.state.value,
        "attempt_number": shown.attempts,
        "response_status": shown.response_status,
        "error_message": shown.error,
        "duration_ms": shown.duration_ms,
        "created_at": shown.placed.partition("#")[0],
        "delivered_at": _time(shown.delivered_at),
        "next_retry_at": _time(shown.next_retry_at),
    }


def attempt(item: Mapping[str, Any]) -> dict[str, Any]:
    """Returns one stored attempt."""
    return {name: value for name, value in item.items() if name not in ("id", "part", "forget_at")}


def figures(counters: Mapping[str, int], *, equal: bool) -> dict[str, Any]:
    """Returns the counts of deliveries under the names of a panel's list, with the undelivered ones by state.

    As in `status`, a delivery has failed as soon as one attempt has, until one succeeds. The success rate
    counts alike, so an endpoint that is down shows at once, not after the last retry.
    """
    tried = counters["delivered"] + counters["failing"]
    return {
        "total_deliveries": counters["matched"],
        "successful_deliveries": counters["delivered"],
        "failed_deliveries": counters["failing"],
        "pending_deliveries": counters["matched"] - counters["delivered"] - counters["failing"],
        "success_rate": round(100 * counters["delivered"] / tried, 2) if tried else 0,
        "totals": {name: counters[name] for name in ("matched", "delivered", "pending", "paused", "dead")}
        | {"equal": equal},
    }


def latency(recent: Sequence[Delivery]) -> dict[str, Any]:
    """Returns success rate and latency in milliseconds over the last attempts of recent deliveries."""
    tried = [shown for shown in recent if shown.duration_ms is not None]
    durations = sorted(shown.duration_ms or 0 for shown in tried)
    rate = round(100 * sum(not shown.failed for shown in tried) / len(tried), 2) if tried else None
    return {"deliveries": len(tried), "success_rate": rate} | {
        f"p{part}_ms": _percentile(durations, part) for part in (50, 95, 99)
    }


def _percentile(ordered: Sequence[int], percent: int) -> int | None:
    """Returns the percentile by nearest rank, or None without values."""
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1] if ordered else None


def _time(moment: Any) -> str | None:
    return stamp(moment) if moment else None
