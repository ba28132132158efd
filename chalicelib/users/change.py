"""Changes a user's profile, activity and settings. The change's transaction holds audit entry and event."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from chalicelib import aws
from chalicelib.audit import record
from chalicelib.errors import Conflict, NotDoable, Refused
from chalicelib.users import events, store
from chalicelib.users.models import AccountKind, Settings, User
from chalicelib.versions import Edit, changed_fields, edit

LONGEST_CHAIN = 50
"""Maximum number of referrers above a user. The transaction of a new link checks each of them."""


def update_user(user_id: str, wanted: Mapping[str, Any], *, by: str, version: int | None = None) -> User:
    """Changes fields of the profile and returns the new state.

    Args:
        wanted: Fields of `User` by name. The caller must check that only admins set `is_active` and `role`.
        version: The version that the editor saw. None edits the current version.

    Raises:
        NotFound: The user does not exist.
        Conflict: `version_conflict`. `already_exists` if another user has the telegram id or the referral
            code.
        NotDoable: `unknown_reference` if the referrer does not exist. `referral_cycle` if this user is above
            the referrer.
    """
    now = datetime.now(UTC)

    def plan(item: aws.Item, next_version: int) -> Edit:
        before = User.model_validate(item).model_dump()
        fields = changed_fields(before, _with_text_ids(wanted))
        if not fields:
            return Edit({})
        also: list[tuple[aws.Write, Refused | None]] = []
        for field in store.UNIQUE:
            if field in fields:
                also += _referral_checks_moved(field, before[field], fields[field], user_id)
        referrer = fields.get("referred_by_id")
        if referrer:
            also += _chain_checks(user_id, referrer)
        old = {name: before[name] for name in fields}
        also.append(
            (
                record.write(
                    record.Change(by, _action(fields), f"user#{user_id}", user_id, now, old, fields)
                ),
                None,
            )
        )
        also.append((events.changed_write(_action(fields), user_id, {**fields}, next_version, now), None))
        removed = ["referred_by_id"] if "referred_by_id" in fields and not referrer else []
        kept = {name: value for name, value in fields.items() if name not in removed}
        return Edit(kept | {"updated_at": now.isoformat()}, also, removed)

    return User.model_validate(edit("users", store.key(user_id, "profile"), version, plan, "user_not_found"))


def set_active(user_id: str, *, active: bool, by: str) -> User:
    """Activates or deactivates a user.

    The tokens of a deactivated user are void, and the user's signals are refused.
    """
    return update_user(user_id, {"is_active": active}, by=by)


def update_settings(
    user_id: str, wanted: Mapping[str, Any], *, by: str, version: int | None = None, audited: bool = True
) -> Settings:
    """Changes settings and returns the new state.

    Args:
        wanted: Fields of `Settings` by name.
        version: The version that the editor saw. None edits the current version.
        audited: False for a consequence of another change, which has the audit entry.

    Raises:
        NotFound: The user does not exist.
        Conflict: `version_conflict`.
        NotDoable: `unknown_reference`: `default_account` is not the name of a paper account of this user.
    """
    _check_default_account(user_id, wanted.get("default_account"))
    now = datetime.now(UTC)

    def plan(item: aws.Item, next_version: int) -> Edit:
        before = Settings.model_validate(item).model_dump()
        fields = changed_fields(before, wanted)
        if not fields:
            return Edit({})
        old = {name: before[name] for name in fields}
        change = record.Change(by, "user.settings_updated", f"user#{user_id}", user_id, now, old, fields)
        event = events.changed_write("user.settings_updated", user_id, {**fields}, next_version, now)
        return Edit(fields, [*([(record.write(change), None)] if audited else []), (event, None)])

    return Settings.model_validate(
        edit("users", store.key(user_id, "settings"), version, plan, "user_not_found")
    )


def referral_chain(user_id: str) -> list[str]:
    """Returns the ids of the user's referrer, the referrer's referrer and so on, nearest first."""
    chain: list[str] = []
    above = store.user(user_id).referred_by_id
    while above and len(chain) < LONGEST_CHAIN:
        chain.append(above)
        item = aws.get("users", store.key(above, "profile"))
        above = item.get("referred_by_id") if item else None
    return chain


def _with_text_ids(wanted: Mapping[str, Any]) -> dict[str, Any]:
    referrer = wanted.get("referred_by_id")
    return dict(wanted) | ({"referred_by_id": str(referrer)} if referrer is not None else {})


def _action(fields: Mapping[str, Any]) -> str:
    if fields.keys() == {"is_active"}:
        return "user.activated" if fields["is_active"] else "user.deactivated"
    return "user.updated"


def _referral_checks_moved(
    field: str, old: Any, new: Any, user_id: str
) -> list[tuple[aws.Write, Refused | None]]:
    writes: list[tuple[aws.Write, Refused | None]] = []
    if old is not None:
        writes.append((store.release_write(field, old), None))
    if new is not None:
        writes.append((store.claim_write(field, new, user_id), Conflict("already_exists", field=field)))
    return writes


def _chain_checks(user_id: str, referrer: str) -> list[tuple[aws.Write, Refused | None]]:
    """Returns checks that the referrer's chain does not contain this user and is still as read."""
    checks: list[tuple[aws.Write, Refused | None]] = []
    above: str | None = referrer
    while above:
        if above == user_id or len(checks) == LONGEST_CHAIN:
            raise NotDoable("referral_cycle", field="referred_by_id", limit=LONGEST_CHAIN)
        key = store.key(above, "profile")
        item = aws.get("users", key)
        if item is None:
            raise NotDoable("unknown_reference", field="referred_by_id")
        above = item.get("referred_by_id")
        if above:
            checks.append((aws.check_write("users", key, "referred_by_id = :above", above=above), None))
        else:
            checks.append(
                (
                    aws.check_write(
                        "users", key, "attribute_exists(user_id) AND attribute_not_exists(referred_by_id)"
                    ),
                    None,
                )
            )
    return checks


def _check_default_account(user_id: str, name: str | None) -> None:
    if name is None:
        return
    entry = store.directory(user_id).accounts.get(name)
    if entry is None or entry.kind is not AccountKind.PAPER:
        raise NotDoable("unknown_reference", field="default_account")
