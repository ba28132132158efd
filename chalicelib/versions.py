"""Optimistic versions: what two people may edit carries a number, and an edit says which number it saw.

An edit that names no version is made on whatever is there, again if somebody was faster; it touches only the
fields it names, so neither loses the other's.
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
    """What an edit does.

    Attributes:
        fields: Attributes to set; none of them leaves everything as it is.
        removed: Attributes to take away.
        also: Writes of the same transaction, each with what to say if its own condition does not hold (None:
            try again).
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
    """Edits an item in one transaction with all that goes with it; returns it as it is afterwards.

    Args:
        asked: The version the editor saw; None takes whatever is there.
        plan: From the item as read and the version it will have, what to do. Called again if somebody was
            faster.
        missing: The code for an item that is not there.

    Raises:
        NotFound: There is no such item.
        Conflict: `version_conflict` if the item has moved on since the editor saw it; its `version` says
            where it is now.
        Retryable: Others were faster again and again.
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
    raise Retryable("the record is being edited by others")


def changed_fields(item: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the wanted fields that are not so already."""
    return {name: value for name, value in wanted.items() if name not in item or item[name] != value}


def answering_conflicts(change: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """A route whose 409 for a version conflict also carries the current `version`, to read anew and try again."""

    @wraps(change)
    def answer(request: Request) -> Answer:
        try:
            return change(request)
        except Conflict as conflict:
            if conflict.code != "version_conflict":
                raise
            told = refusal(conflict, request.language)
            return Answer(told.status, {**_object(told.body), "version": conflict.values["version"]})

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
