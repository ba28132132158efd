"""The outbox.

An event waits here from the transaction of its change until it is in the log and on the topic.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.events.models import Event

_KEPT = timedelta(
    days=7
)  # only events that stayed unpublished for that long are ever deleted, and an alarm comes first


def event_write(event: Event) -> aws.Write:
    """Returns the write for the transaction of the event's change."""
    item = {
        "owner": event.owner,
        "event_id": event.event_id,
        "type": event.type,
        "payload": _strings(event.payload),
        "entity": event.entity,
        "user_id": event.user_id,
        "created_at": event.created_at.isoformat(),
        **({"personal": True} if event.personal else {}),
        "unpublished": aws.index_shard(event.event_id),
        "forget_at": int((event.created_at + _KEPT).timestamp()),
    }
    return aws.put_write("outbox", item)


def _strings(value: Any) -> Any:
    """Returns the value with money and quantities as plain strings: `0.0015`, never `1.5E-3`."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {name: _strings(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strings(inner) for inner in value]
    return value
