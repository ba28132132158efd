"""Sets and reads risk rules."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from chalicelib import aws
from chalicelib.audit import record
from chalicelib.errors import Conflict, Forbidden, Retryable
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.risk import halts, rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.users.models import shown_id

_TRIES = 5


def update_rules(
    about: Switch, wanted: Mapping[str, Any], *, by: str, admin: bool, version: int | None = None
) -> dict[str, Any]:
    """Changes rules and emits `trading.rules_changed`. No-op if nothing differs.

    Args:
        about: The user, account or strategy of the rules.
        wanted: Fields of `Rules` by name. None removes a rule.
        admin: Whether the actor is an admin. Only an admin changes rules that an admin has set.
        version: The version that the editor read. None skips the check.

    Returns:
        The rules as they are shown.

    Raises:
        Conflict: `version_conflict`.
        Forbidden: An admin has set the rules.
        Retryable: The rules were modified concurrently on each attempt.
    """
    for _ in range(_TRIES):
        now = datetime.now(UTC)
        stored = aws.get("risk", about.key) or {}
        current = int(stored.get("rules_version", 0))
        if version is not None and version != current:
            raise Conflict("version_conflict", version=current)
        before = rules.rules_from_item(stored)
        # Removing a rule stores the default value.
        given = {
            name: getattr(rules.NONE, name) if value is None else value for name, value in wanted.items()
        }
        fields = {name: value for name, value in given.items() if getattr(before, name) != value}
        if not fields:
            return view(about, stored)
        if stored.get("rules_by_admin") and not admin:
            raise Forbidden("admin_only")
        after = rules.Rules.model_validate(before.model_dump() | fields)
        kept = {
            "rules": after.model_dump(exclude_defaults=True),
            "rules_by_admin": admin,
            "rules_version": current + 1,
        }
        item, put = halts.switch_write(about, stored, now, **kept)
        was, is_ = before.model_dump(include=set(fields)), after.model_dump(include=set(fields))
        change = record.Change(by, "trading.rules_changed", about.key["scope"], about.owner, now, was, is_)
        try:
            aws.transact(
                [put, record.write(change), outbox.event_write(_event(about, is_, current + 1, now))]
            )
        except (aws.WriteRefused, Retryable):
            continue
        return view(about, item)
    raise Retryable("risk rules modified concurrently on every attempt")


def view(about: Switch, item: aws.Item) -> dict[str, Any]:
    """Returns rules as they are shown."""
    return {
        **scope_fields(about),
        **rules.rules_from_item(item).model_dump(),
        "version": int(item.get("rules_version", 0)),
    }


def scope_fields(about: Switch) -> dict[str, Any]:
    """Returns the subject of rules, as it is shown."""
    return {"scope": about.scope.value, "id": shown_id(about.id), "name": about.name}


def _event(about: Switch, changed: Mapping[str, Any], version: int, now: datetime) -> Event:
    payload = {
        "scope": about.scope.value,
        "user_id": shown_id(about.owner),
        "id": shown_id(about.id),
        "rules": dict(changed),
    }
    if about.scope is Scope.STRATEGY:
        payload["group_name"] = about.name
    return Event(
        event_id=event_id("trading.rules_changed", about.key["scope"], str(version)),
        type="trading.rules_changed",
        payload=payload,
        entity=about.key["scope"],
        user_id=about.owner,
        created_at=now,
    )
