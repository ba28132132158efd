"""Optimistic locking: a record has a version number, and an edit may name the version it is based on.

An edit without a version applies to the current record and is retried after a concurrent edit. An edit sets
only the fields it names, so concurrent edits of different fields are all kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from random import uniform
from time import sleep
from typing import Any

from chalicelib import aws
from chalicelib.errors import Conflict, NotFound, Refused, Retryable
from chalicelib.http import Answer, Request, refusal

_TRIES = 8


@dataclass(frozen=True, slots=True)
class Edit:
    """The changes of one edit.

    Attributes:
        fields: Attributes to set. Empty, with `removed` empty too, leaves the record unchanged.
        removed: Attributes to remove.
        also: Further writes of the transaction, each with the refusal to raise if its condition fails. None
            retries the edit.
    """

    fields: Mapping[str, Any]
    also: Sequence[tuple[aws.Write, Refused | None]] = ()
    removed: Sequence[str] = field(default=())


def edit(
    table: str,
    key: aws.Key,
    asked: int | None,
    plan: Callable[[aws.Item, int], Edit],
    missing: str = "not_found",
) -> aws.Item:
    """Edits an item and everything that depends on it in one transaction. Returns the new item.

    Args:
        asked: The version that the editor saw. None edits the current version.
        plan: Returns the edit for the item as read and its next version. Called again after a concurrent
            edit.
        missing: The error code if the item does not exist.

    Raises:
        NotFound: The item does not exist.
        Conflict: `version_conflict` if the item has changed since the editor read it. `version` holds the
            current version.
        Retryable: Concurrent edits won every try.
    """
    for attempt in range(_TRIES):
        item = aws.get(table, key)
        if item is None:
            raise NotFound(missing)
        version = int(item.get("version", 1))
        if asked is not None and asked != version:
            raise Conflict("version_conflict", version=version)
        planned = plan(item, version + 1)
        if not planned.fields and not planned.removed:
            return item
        try:
            aws.transact([_update(table, key, version, planned), *(write for write, _ in planned.also)])
        except aws.WriteRefused as refused:
            for failed, (_, reason) in zip(refused.failed[1:], planned.also, strict=True):
                if failed is not None and reason is not None:
                    raise reason from None
        except Retryable:
            sleep(uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 - jitter, not a secret
        else:
            kept = {name: value for name, value in item.items() if name not in planned.removed}
            return kept | dict(planned.fields) | {"version": version + 1}
    raise Retryable("record edited concurrently in every try")


def changed_fields(item: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the wanted fields whose stored value differs."""
    return {name: value for name, value in wanted.items() if name not in item or item[name] != value}


def answering_conflicts(change: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """Wraps a route: its 409 for a version conflict also carries the current `version`, for a retry."""

    @wraps(change)
    def answer(request: Request) -> Answer:
        try:
            return change(request)
        except Conflict as conflict:
            if conflict.code != "version_conflict":
                raise
            response = refusal(conflict, request.language)
            return Answer(response.status, {**_object(response.body), "version": conflict.values["version"]})

    return answer


def _object(body: Mapping[str, Any] | str) -> Mapping[str, Any]:
    return body if isinstance(body, Mapping) else {}


def _update(table: str, key: aws.Key, version: int, planned: Edit) -> aws.Write:
    sets = ", ".join(f"#{name} = :{name}" for name in [*planned.fields, "version"])
    removes = f" REMOVE {', '.join(f'#{name}' for name in planned.removed)}" if planned.removed else ""
    values = dict(planned.fields) | {"version": version + 1, "seen": version}
    seen = "#version = :seen" if version > 1 else "(#version = :seen OR attribute_not_exists(#version))"
    return aws.update_write(
        table, key, f"SET {sets}{removes}", f"attribute_exists(#{next(iter(key))}) AND {seen}", **values
    )
