"""Sets and reads halt switches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from chalicelib import aws
from chalicelib.audit import record
from chalicelib.errors import Forbidden, Retryable
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.users.models import shown_id

_TRIES = 5
_READ_AT_ONCE = 100


class Scope(StrEnum):
    """What a switch halts."""

    GLOBAL = "global"
    USER = "user"
    ACCOUNT = "account"
    STRATEGY = "strategy"


@dataclass(frozen=True, slots=True)
class Switch:
    """The subject of a halt or of risk rules: all users, a user, an account or a strategy.

    Attributes:
        id: Id of the user, account or strategy. None for the global switch and for a strategy named by a
            signal.
        owner: The user who owns the switch, sees it and is notified. None for the global switch.
        name: A strategy's name, as signals give it.
    """

    scope: Scope
    id: str | None = None
    owner: str | None = None
    name: str | None = None

    @property
    def key(self) -> dict[str, str]:
        """The key of the switch's item: "global", "user#1", "account#1" or "strategy#{owner}#{name}"."""
        parts = (self.owner, self.name) if self.scope is Scope.STRATEGY else (self.id,)
        return {"scope": "#".join([self.scope.value, *(part for part in parts if part is not None)])}


def set_switch(
    switch: Switch, *, halted: bool, by: str, admin: bool = True, reason: str | None = None
) -> dict[str, Any]:
    """Sets a switch and emits `trading.halted` or `trading.resumed`, or `account.…` for an account.

    No-op if the switch is already set so.

    Args:
        by: The actor: a user's id, or `risk`, `telegram`, `system`.
        admin: Whether the actor is an admin or the system. Only an admin ends a halt that an admin started.
        reason: Text for users. The rule's name if a rule halted. None for none.

    Returns:
        The switch as it is shown.

    Raises:
        Forbidden: An admin started the halt, and only an admin may end it.
        Retryable: The switch was modified concurrently on each attempt.
    """
    for _ in range(_TRIES):
        now = datetime.now(UTC)
        stored = aws.get("risk", switch.key) or {}
        if bool(stored.get("halted")) == halted:
            return view(switch, stored)
        if not halted and stored.get("by_admin") and not admin:
            raise Forbidden("admin_only")
        item, writes = switch_writes(switch, stored, now, halted=halted, by=by, admin=admin, reason=reason)
        try:
            aws.transact(writes)
        except (aws.WriteRefused, Retryable):
            continue
        return view(switch, item)
    raise Retryable("halt switch modified concurrently on every attempt")


def switch_writes(
    switch: Switch,
    stored: aws.Item,
    now: datetime,
    *,
    halted: bool,
    by: str,
    admin: bool = True,
    reason: str | None = None,
    flatten: bool = False,
) -> tuple[aws.Item, list[aws.Write]]:
    """Returns the changed switch and the writes that change it, event included.

    The writes succeed only if the switch has not changed since it was read.

    Args:
        flatten: Whether open positions are closed too. The event says so.
    """
    everybody: dict[str, Any] = {"telling": {}} if switch.scope is Scope.GLOBAL else {}
    thrown_ = {
        "halted": halted,
        "reason": reason,
        "by": by,
        "by_admin": admin,
        "at": now.isoformat(),
        "left_open": {},
        **everybody,
    }
    item, put = switch_write(switch, stored, now, **thrown_)
    return item, [
        put,
        record.write(_change(switch, stored, item, now)),
        outbox.event_write(event(switch, item, now, flatten=flatten)),
    ]


def note_left_open(switch: Switch, account_id: str, positions: Sequence[Mapping[str, Any]]) -> None:
    """Records on a halt which positions of an account could not be closed, with an event.

    An empty list removes an earlier record. A switch that is no longer halted is not changed.

    Raises:
        Retryable: The switch was modified concurrently on each attempt.
    """
    for _ in range(_TRIES):
        now = datetime.now(UTC)
        [item] = stored_parts([switch])
        before = item.get("left_open") or {}
        after = {name: rows for name, rows in before.items() if name != account_id}
        if positions:
            after[account_id] = [dict(each) for each in positions]
        if not item.get("halted") or after == before:
            return
        item, put = switch_write(switch, item, now, left_open=after)
        try:
            aws.transact([put, *([outbox.event_write(event(switch, item, now))] if positions else [])])
        except (aws.WriteRefused, Retryable):
            continue
        return
    raise Retryable("halt switch modified concurrently on every attempt")


def switch_write(
    switch: Switch, stored: aws.Item, now: datetime, **fields: Any
) -> tuple[aws.Item, aws.Write]:
    """Returns the item of the table `risk` with other fields, and the write of that item."""
    version = int(stored.get("version", 0))
    item = {**stored, **switch.key, **fields, "version": version + 1, "updated_at": now.isoformat()}
    if version:
        return item, aws.put_write("risk", item, "version = :read", read=version)
    return item, aws.put_write("risk", item, "attribute_not_exists(version)")


def read_switches(switches: Sequence[Switch]) -> list[dict[str, Any]]:
    """Returns switches as they are shown. A switch that was never set is not halted."""
    return [view(switch, item) for switch, item in zip(switches, stored_parts(switches), strict=True)]


def stored_parts(switches: Sequence[Switch]) -> list[aws.Item]:
    """Returns the stored items of switches and of their rules. Empty items if nothing is stored."""
    items: list[aws.Item | None] = []
    for start in range(0, len(switches), _READ_AT_ONCE):
        items += aws.get_many([("risk", switch.key) for switch in switches[start : start + _READ_AT_ONCE]])
    return [item or {} for item in items]


def view(switch: Switch, item: aws.Item) -> dict[str, Any]:
    """Returns a switch as it is shown."""
    return {
        "scope": switch.scope.value,
        "id": shown_id(switch.id),
        "halted": bool(item.get("halted")),
        "reason": item.get("reason"),
        "by": shown_id(item.get("by")),
        "at": item.get("at"),
        "left_open": _left_open_rows(item),
    }


def _left_open_rows(item: aws.Item) -> list[dict[str, Any]]:
    """Returns the positions, of all accounts, that a daily loss could not close."""
    rows = [row for _, found in sorted((item.get("left_open") or {}).items()) for row in found]
    return [{**row, "account_id": shown_id(row["account_id"])} for row in rows]


def _change(switch: Switch, before: aws.Item, after: aws.Item, now: datetime) -> record.Change:
    was, is_ = ({name: item.get(name) for name in ("halted", "reason")} for item in (before, after))
    entity = "trading" if switch.scope is Scope.GLOBAL else switch.key["scope"]
    return record.Change(
        after["by"], _type(switch, halted=after["halted"]), entity, switch.owner, now, was, is_
    )


def event(
    switch: Switch, item: aws.Item, now: datetime, *, recipient: str | None = None, flatten: bool = False
) -> Event:
    """Returns the event of a switch's state.

    The event goes to the owner. For the global switch, it goes to the given user or else to the admins.
    """
    type_ = _type(switch, halted=item["halted"])
    payload: dict[str, Any] = {"reason": item["reason"] or ""}
    if switch.scope is Scope.ACCOUNT:
        payload["account_id"] = switch.id
    else:
        payload |= {"scope": switch.scope.value, "user_id": shown_id(switch.owner)}
    if switch.scope is Scope.STRATEGY:
        payload["group_name"] = switch.name
    if flatten:
        payload["flatten"] = True
    if item["halted"] and item.get("left_open"):
        payload["left_open"] = [row for _, found in sorted(item["left_open"].items()) for row in found]
    return Event(
        event_id=event_id(
            type_, switch.key["scope"], str(item["version"]), *([recipient] if recipient else [])
        ),
        type=type_,
        payload=payload,
        entity=switch.key["scope"],
        user_id=recipient or switch.owner,
        personal=recipient is not None,
        created_at=now,
    )


def _type(switch: Switch, *, halted: bool) -> str:
    return f"{'account' if switch.scope is Scope.ACCOUNT else 'trading'}.{'halted' if halted else 'resumed'}"
