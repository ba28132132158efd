"""The items of the `webhooks` table.

Subscriptions, and per subscription its counters, its sequence and its rate limit.

webhook#12     the subscription
counters#12#3  number of deliveries by state, in shards, so that deliveries do not contend for one item.
               A change takes from one column what it adds to another: each shard balances at any time, and
               the sum of the shards gives the numbers
sequence#12    number of events that it has matched
rate#12        when the endpoint may be called next
counter        the last webhook id given
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.http import to_json
from chalicelib.webhooks.models import Status, Webhook, stamp
from chalicelib.webhooks.sealing import Sealed, seal

BOOK_SHARDS = 8
COLUMNS = ("matched", "pending", "paused", "delivered", "dead", "failing")
_TABLE = "webhooks"
_ALL = "webhook"
_KEPT_DELETED = timedelta(days=30)
_READ_AT_ONCE = 96


def key(webhook_id: int, kind: str = "webhook", *parts: object) -> dict[str, str]:
    """Returns the key of an item about a subscription."""
    return {"id": "#".join(map(str, (kind, webhook_id, *parts)))}


def counters_key(webhook_id: int, delivery_id: str) -> dict[str, str]:
    """Returns the key of the counter shard that counts a delivery."""
    return key(webhook_id, "counters", zlib.crc32(delivery_id.encode()) % BOOK_SHARDS)


def next_id() -> int:
    """Returns a new subscription id. Raises Retryable under contention."""
    for _ in range(20):
        counter = aws.get(_TABLE, {"id": "counter"})
        last = int(counter["last"]) if counter else 0
        condition = "#last = :last" if counter else "attribute_not_exists(#last)"
        values = {"last": last} if counter else {}
        try:
            aws.write(
                aws.update_write(
                    _TABLE, {"id": "counter"}, "SET #last = :new", condition, new=last + 1, **values
                )
            )
        except aws.WriteRefused:
            continue
        return last + 1
    raise Retryable("the webhook counter is contended")


def put(webhook: Webhook, *also: aws.Write, seen: datetime | None = None) -> None:
    """Stores a subscription together with other writes.

    Args:
        seen: `updated_at` as it was read, for a change. None for a new subscription.

    Raises:
        WriteRefused: The subscription has changed since it was read.
    """
    condition, values = (
        ("updated_at = :seen", {"seen": stamp(seen)}) if seen else ("attribute_not_exists(id)", {})
    )
    aws.transact([aws.put_write(_TABLE, _item(webhook), condition, **values), *also])


def get(webhook_id: int) -> Webhook | None:
    """Returns a subscription, even if it is deleted. None if there is none."""
    item = aws.get(_TABLE, key(webhook_id))
    return from_item(item) if item else None


def list_page(stream: str | None) -> list[Webhook]:
    """Returns the subscriptions to a stream, or all of them, by id."""
    if stream is None:
        items = aws.query_all(_TABLE, "kind = :kind", index="all", kind=_ALL)
    else:
        items = aws.query_all(_TABLE, "#stream = :stream", index="by_stream", stream=stream)
    return [from_item(item) for item in items]


def set_failing(webhook: Webhook, since: datetime | None) -> None:
    """Records that an endpoint has begun to fail, or that it works again.

    A subscription that was deleted in between stays unchanged.
    """
    try:
        if since is None:
            aws.write(
                aws.update_write(
                    _TABLE, key(webhook.webhook_id), "REMOVE failing_since", "attribute_exists(id)"
                )
            )
        else:
            set_ = "SET failing_since = :since"
            none_yet = "attribute_exists(id) AND attribute_not_exists(failing_since)"
            aws.write(aws.update_write(_TABLE, key(webhook.webhook_id), set_, none_yet, since=stamp(since)))
    except aws.WriteRefused:
        return


def not_active_write(webhook_id: int) -> aws.Write:
    """Returns the condition that a subscription is not active, for a transaction that pauses a delivery.

    Without the condition, nothing would release the delivery.
    """
    off = {"paused": Status.PAUSED.value, "disabled": Status.DISABLED.value}
    return aws.check_write(_TABLE, key(webhook_id), "#status IN ( :paused, :disabled )", **off)


def counters_write(webhook_id: int, delivery_id: str, change: Mapping[str, int], at: datetime) -> aws.Write:
    """Returns the write that adds to the counters, in the shard of one of the deliveries."""
    columns = {name: by for name, by in change.items() if by}
    adds = ", ".join(f"#{name} :{name}" for name in columns)
    expression = f"SET last_triggered_at = :at ADD {adds}"
    values: dict[str, Any] = {"at": stamp(at), **columns}
    return aws.update_write(_TABLE, counters_key(webhook_id, delivery_id), expression, **values)


def shards(webhook_ids: Iterable[int]) -> dict[int, list[aws.Item]]:
    """Returns the counters of subscriptions, shard by shard."""
    wanted = [(webhook_id, shard) for webhook_id in webhook_ids for shard in range(BOOK_SHARDS)]
    found: dict[int, list[aws.Item]] = {webhook_id: [] for webhook_id, _ in wanted}
    for start in range(0, len(wanted), _READ_AT_ONCE):
        batch = wanted[start : start + _READ_AT_ONCE]
        items = aws.get_many([(_TABLE, key(webhook_id, "counters", shard)) for webhook_id, shard in batch])
        for (webhook_id, _), item in zip(batch, items, strict=True):
            if item:
                found[webhook_id].append(item)
    return found


def slot_at(webhook: Webhook, now: datetime) -> datetime:
    """Returns the endpoint's next free slot under its rate limit.

    Up to one second's worth of attempts may go at once.

    Raises:
        Retryable: Too many callers compete for slots.
    """
    assert webhook.rate_limit is not None
    spacing = timedelta(seconds=1) / webhook.rate_limit
    item = aws.get(_TABLE, key(webhook.webhook_id, "rate")) or {}
    for _ in range(20):
        taken = datetime.fromisoformat(item["next"]) if item else now
        place = max(taken, now)
        condition = "#next = :taken" if item else "attribute_not_exists(#next)"
        values = {"taken": item["next"]} if item else {}
        next_slot = (place + spacing).isoformat(timespec="microseconds")
        try:
            aws.write(
                aws.update_write(
                    _TABLE,
                    key(webhook.webhook_id, "rate"),
                    "SET #next = :new",
                    condition,
                    new=next_slot,
                    **values,
                )
            )
        except aws.WriteRefused as refused:
            item = refused.failed[0] or {}
            continue
        return place
    raise Retryable("the rate limit of an endpoint is contended")


def from_item(item: Mapping[str, Any]) -> Webhook:
    """Returns the subscription in a stored item.

    Secrets and header values stay sealed until they are used.
    """
    webhook_id = int(item["webhook_id"])
    secrets = [{**secret, "value": Sealed(webhook_id, secret["sealed"])} for secret in item["secrets"]]
    headers = {name: Sealed(webhook_id, sealed) for name, sealed in item.get("headers", {}).items()}
    return Webhook.model_validate(
        {
            **item,
            "secrets": secrets,
            "headers": headers,
            "filter": json.loads(item.get("filter") or "{}", parse_float=Decimal),
        }
    )


def _item(webhook: Webhook) -> aws.Item:
    item: aws.Item = webhook.model_dump(
        mode="json", exclude={"secrets", "headers", "filter"}, exclude_none=True
    )
    item |= key(webhook.webhook_id) | {
        "filter": to_json(webhook.filter),
        "headers": {name: seal(webhook.webhook_id, value) for name, value in webhook.headers.items()},
        "secrets": [
            _secret(seal(webhook.webhook_id, secret.value), secret.expires_at) for secret in webhook.secrets
        ],
        "created_at": stamp(webhook.created_at),
        "updated_at": stamp(webhook.updated_at),
    }
    if webhook.failing_since:
        item["failing_since"] = stamp(webhook.failing_since)
    if (
        webhook.status is Status.DELETED
    ):  # removed from the indexes; kept for deliveries that are still under way
        return item | {"forget_at": int((webhook.updated_at + _KEPT_DELETED).timestamp())}
    return item | {"kind": _ALL, "stream": webhook.stream}


def _secret(sealed: str, expires_at: datetime | None) -> dict[str, str]:
    return {"sealed": sealed} | ({"expires_at": stamp(expires_at)} if expires_at else {})


def total(items: Sequence[aws.Item]) -> dict[str, int]:
    """Returns the total of the counters' columns."""
    return {column: sum(int(item.get(column, 0)) for item in items) for column in COLUMNS}


def is_balanced(shards: Sequence[aws.Item]) -> bool:
    """Returns whether a subscription's counters balance.

    In each shard matched = delivered + pending + paused + dead. No total is below zero.
    """
    return all(_is_balanced(total([shard])) for shard in shards) and min(total(shards).values()) >= 0


def _is_balanced(columns: Mapping[str, int]) -> bool:
    return (
        columns["matched"] == columns["delivered"] + columns["pending"] + columns["paused"] + columns["dead"]
    )
