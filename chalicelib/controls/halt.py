"""Throwing a halt switch, and reading the switches."""

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch's name.

    Attributes:
        id: The user or account; None for the global one.
        owner: Whose it is, who is told and sees it; None for the global one.
    """

    scope: Scope
    id: str | None = None
    owner: str | None = None

    @property
    def key(self) -> dict[str, str]:
        """The key of its item: "global", "user#1", "account#1"."""
        return {"scope": self.scope.value if self.id is None else f"{self.scope.value}#{self.id}"}


def throw(switch: Switch, *, halted: bool, by: str, admin: bool = True, reason: str | None = None) -> dict[str, Any]:
    """Sets a switch, and tells `trading.halted` or `trading.resumed`, for an account `account.halted` or `account.resumed`.

    Setting it as it is already changes and tells nothing.

    Args:
        by: Who does this: a user's id, or `risk`, `telegram`, `system`.
        admin: They are an admin, or the system itself. Only an admin lifts what an admin halted.
        reason: For people; a rule's name where a rule halted.

    Returns:
        The switch as it is shown.

    Raises:
        Forbidden: An admin halted it, and an admin must lift that.
        Retryable: Others set it again and again.
    """
    for _ in range(_TRIES):
        now = datetime.now(UTC)
        stored = aws.get("controls", switch.key) or {}
        if bool(stored.get("halted")) == halted:
            return view(switch, stored)
        if not halted and stored.get("by_admin") and not admin:
            raise Forbidden("admin_only")
        version = int(stored.get("version", 0))
        item = {
            **switch.key,
            "halted": halted,
            "reason": reason,
            "by": by,
            "by_admin": admin,
            "at": now.isoformat(),
            "version": version + 1,
        }
        unmoved = ("version = :read", {"read": version}) if version else ("attribute_not_exists(version)", {})
        writes = [
            aws.put("controls", item, unmoved[0], **unmoved[1]),
            record.write(_change(switch, stored, item, now)),
            outbox.write(_event(switch, item, now)),
        ]
        try:
            aws.transact(writes)
        except (aws.WriteRefused, Retryable):
            continue
        return view(switch, item)
    raise Retryable("the switch is being thrown by others")


def read(switches: Sequence[Switch]) -> list[dict[str, Any]]:
    """Switches as they are shown; one that was never thrown is not halted."""
    items: list[aws.Item | None] = []
    for start in range(0, len(switches), _READ_AT_ONCE):
        items += aws.get_many([("controls", switch.key) for switch in switches[start : start + _READ_AT_ONCE]])
    return [view(switch, item or {}) for switch, item in zip(switches, items, strict=True)]


def view(switch: Switch, item: aws.Item) -> dict[str, Any]:
    """A switch as it is shown."""
    return {
        "scope": switch.scope.value,
        "id": shown_id(switch.id),
        "halted": bool(item.get("halted")),
        "reason": item.get("reason"),
        "by": shown_id(item.get("by")),
        "at": item.get("at"),
    }


def _change(switch: Switch, before: aws.Item, after: aws.Item, now: datetime) -> record.Change:
    was, is_ = ({name: item.get(name) for name in ("halted", "reason")} for item in (before, after))
    entity = "trading" if switch.id is None else switch.key["scope"]
    return record.Change(after["by"], _type(switch, halted=after["halted"]), entity, switch.owner, now, was, is_)


def _event(switch: Switch, item: aws.Item, now: datetime) -> Event:
    type_ = _type(switch, halted=item["halted"])
    told: dict[str, Any] = {"reason": item["reason"] or ""}
    if switch.scope is Scope.ACCOUNT:
        told["account_id"] = switch.id
    else:
        told |= {"scope": switch.scope.value, "user_id": shown_id(switch.id)}
    return Event(
        event_id=event_id(type_, switch.key["scope"], str(item["version"])),
        type=type_,
        payload=told,
        entity=switch.key["scope"],
        user_id=switch.owner,
        created_at=now,
    )


def _type(switch: Switch, *, halted: bool) -> str:
    return f"{'account' if switch.scope is Scope.ACCOUNT else 'trading'}.{'halted' if halted else 'resumed'}"
