"""Creates a user: profile, settings, an empty directory and the event, in one transaction."""

import secrets
import string
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chalicelib import aws, counters
from chalicelib.audit import record
from chalicelib.errors import Conflict, NotDoable, Refused, Retryable
from chalicelib.idempotency import IdempotentRequest
from chalicelib.users import events, store
from chalicelib.users.models import Role, Settings, User

_CODE_ALPHABET = string.ascii_letters + string.digits
_TRIES = 50  # numbers of the counter that may be in use, because an admin chose them


@dataclass(frozen=True, slots=True)
class FirstAccount:
    """An account created together with its user: its directory entry, and its own writes."""

    name: str
    entry: Mapping[str, Any]
    writes: Sequence[aws.Write]


def create_user(
    *,
    by: str,
    user_id: int | str | None = None,
    telegram_id: int | None = None,
    username: str | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    referral_code: str | None = None,
    referred_by_id: int | str | None = None,
    role: Role = Role.USER,
    is_active: bool = True,
    settings: Mapping[str, Any] | None = None,
    account: Callable[[str, datetime], "FirstAccount"] | None = None,
    once: IdempotentRequest | None = None,
) -> User:
    """Creates a user, writes the event `user.created`, and returns the user.

    Args:
        by: The author: a user's id, or `bootstrap`, `telegram`, `system`.
        user_id: The id chosen by the caller. None takes the next free number.
        referral_code: The code chosen by the caller. None creates one.
        referred_by_id: The user who referred this one. None if there is none.
        settings: Fields of `Settings` that differ from the defaults.
        account: Builds the user's first account from the user's id. None creates no account.
        once: The idempotency key of the request. None if it has none.

    Raises:
        Replayed: The user was created before, under the same key.
        Conflict: `already_exists`: another user has the id, the telegram id or the referral code.
        NotDoable: `unknown_reference`: the user `referred_by_id` does not exist.
        Retryable: Every number tried is in use.
    """
    chosen = str(user_id) if user_id is not None else None
    referrer = str(referred_by_id) if referred_by_id is not None else None
    for _ in range(_TRIES):
        now = datetime.now(UTC)
        user = User(
            user_id=chosen or str(counters.next_value("user")),
            user_uuid=str(uuid.uuid4()),
            role=role,
            is_active=is_active,
            telegram_id=telegram_id,
            username=username,
            first_name=first_name,
            last_name=last_name,
            referral_code=referral_code or _new_code(),
            referred_by_id=referrer,
            created_at=now,
            updated_at=now,
        )
        writes = _writes(
            user,
            Settings.model_validate(settings or {}),
            by,
            now,
            account(user.user_id, now) if account else None,
        )
        if once:
            writes.append((once.write(user.view()), None))
        if chosen is not None and chosen == referrer:
            raise NotDoable("unknown_reference", field="referred_by_id")
        try:
            aws.transact([write for write, _ in writes])
        except aws.WriteRefused as refused:
            if once:
                once.check(refused)
            reason = next(
                reason
                for failed, (_, reason) in zip(refused.failed, writes, strict=True)
                if failed is not None
            )
            _raise_unless_another_try_helps(reason, chosen, referral_code)
        else:
            return user
    raise Retryable("no free user id found")


def _writes(
    user: User, settings: Settings, by: str, now: datetime, first: "FirstAccount | None"
) -> list[tuple[aws.Write, Refused | None]]:
    """Returns the writes of the transaction, each with the error to raise if its condition fails."""
    profile = {"part": "profile", "listed": store.LISTED, **stored_profile(user)}
    change = record.Change(
        by,
        "user.created",
        f"user#{user.user_id}",
        user.user_id,
        now,
        after=user.model_dump(exclude={"version"}),
    )
    writes: list[tuple[aws.Write, Refused | None]] = [
        (
            aws.put_write("users", profile, "attribute_not_exists(user_id)"),
            Conflict("already_exists", field="user_id"),
        ),
        (aws.put_write("users", {**store.key(user.user_id, "settings"), **settings.model_dump()}), None),
        (
            aws.put_write(
                "users",
                {
                    **store.key(user.user_id, "directory"),
                    "accounts": {first.name: first.entry} if first else {},
                    "version": 1,
                },
            ),
            None,
        ),
        (record.write(change), None),
        (events.created_write(user, now), None),
    ]
    for field in store.UNIQUE:
        value = getattr(user, field)
        if value is not None:
            writes.append(
                (store.claim_write(field, value, user.user_id), Conflict("already_exists", field=field))
            )
    if user.referred_by_id:
        exists = aws.check_write(
            "users", store.key(user.referred_by_id, "profile"), "attribute_exists(user_id)"
        )
        writes.append((exists, NotDoable("unknown_reference", field="referred_by_id")))
    writes += [(write, None) for write in first.writes] if first else []
    return writes


def stored_profile(user: User) -> aws.Item:
    """Returns the profile as stored. An index has the referrer as key, so None is left out."""
    item = user.model_dump()
    item |= {
        name: getattr(user, name).isoformat() for name in ("created_at", "updated_at") if getattr(user, name)
    }
    return {name: value for name, value in item.items() if name != "referred_by_id" or value is not None}


def _raise_unless_another_try_helps(
    reason: Refused | None, chosen_id: str | None, chosen_code: str | None
) -> None:
    field = reason.values["field"] if reason else None
    if (
        reason
        and not (field == "user_id" and chosen_id is None)
        and not (field == "referral_code" and chosen_code is None)
    ):
        raise reason


def _new_code() -> str:
    return "ref" + "".join(secrets.choice(_CODE_ALPHABET) for _ in range(8))
