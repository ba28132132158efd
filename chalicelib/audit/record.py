"""An entry of the audit trail, written in the transaction of the change."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from chalicelib import aws

EVERYTHING = "audit"
"""The partition of the index that lists the whole trail."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes:
        by: The author: a user's id, or `bootstrap`, `telegram`, `system`.
        action: The kind of change, `user.updated`.
        entity: The changed record, `user#1`.
        user_id: The owner of the record, who may see the entry. None if the record belongs to no user.
        before: The changed fields with their old values. Never a credential.
        after: The changed fields with their new values. Never a credential.
    """

    by: str
    action: str
    entity: str
    user_id: str | None
    at: datetime
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


def write(change: Change) -> aws.Write:
    """Returns the entry's write, for the transaction of the change."""
    item = {
        "audit_id": uuid.uuid4().hex,
        "trail": EVERYTHING,
        "at": change.at.isoformat(timespec="microseconds"),
        "by": change.by,
        "action": change.action,
        "entity": change.entity,
        "before": _storable_value(change.before),
        "after": _storable_value(change.after),
    }
    item |= {"user_id": change.user_id} if change.user_id else {}
    return aws.put_write("audit", item | {"hash": content_hash(item)}, "attribute_not_exists(audit_id)")


def content_hash(item: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of an entry's content, equal before and after the entry is stored."""
    content = {name: value for name, value in item.items() if name != "hash"}
    return hashlib.sha256(json.dumps(_comparable_value(content), sort_keys=True).encode()).hexdigest()


def _comparable_value(value: Any) -> Any:
    """Returns a value in which equal numbers are equal texts, whatever their type and trailing zeros."""
    if isinstance(value, Mapping):
        return {name: _comparable_value(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_comparable_value(inner) for inner in value]
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return f"number:{Decimal(value).normalize():f}"
    return value


def _storable_value(value: Any) -> Any:
    """Returns a value in types that DynamoDB supports."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _storable_value(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_storable_value(inner) for inner in value]
    return value
