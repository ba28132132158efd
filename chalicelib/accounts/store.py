"""An account's item, and its entry in the user's directory, written in the same transaction."""

from datetime import datetime
from typing import Any

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.audit import record
from chalicelib.errors import NotFound
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.users.models import shown_id

_LONGEST_ID = 64
_SHOWN_WITHOUT = {"user_id", "part", "sealed_keys", "deleted_at"}
NOT_DELETED = "attribute_not_exists(deleted_at)"


def item(account_id: str) -> aws.Item:
    """Returns an account as stored. Raises NotFound if it does not exist or was deleted."""
    found = aws.get("accounts", {"account_id": account_id}) if len(account_id) <= _LONGEST_ID else None
    if found is None or "deleted_at" in found:
        raise NotFound("not_found")
    return found


def view(found: aws.Item) -> dict[str, Any]:
    """Returns the view of an account, without its keys."""
    account = Account.model_validate(found)
    shown = account.model_dump(exclude={"sealed_keys", "key_version"})
    ids = {"account_id": shown_id(account.account_id), "user_id": shown_id(account.user_id)}
    stamps = {name: found.get(name) for name in ("created_at", "updated_at")}
    return (
        shown
        | ids
        | {"has_keys": account.sealed_keys is not None, **stamps, "version": int(found.get("version", 1))}
    )


def entry(account: Account) -> dict[str, Any]:
    """Returns an account's directory entry."""
    return {
        "account_id": account.account_id,
        "exchange": account.exchange,
        "kind": account.kind,
        "is_active": account.is_active,
    }


def directory_entry_write(account: Account, condition: str) -> aws.Write:
    """Returns the write of the account's entry in the user's directory.

    Args:
        condition: The condition on the stored entry, which is named `accounts.#entry`.
    """
    return _directory_write(account, "SET accounts.#entry = :entry", condition, entry=entry(account))


def directory_removal_write(account: Account) -> aws.Write:
    """Returns the write that removes the account's entry from the user's directory."""
    return _directory_write(account, "REMOVE accounts.#entry", "attribute_exists(accounts)")


def event(type_: str, account: Account, payload: dict[str, Any], version: int, at: datetime) -> aws.Write:
    """Returns the write of an account's event.

    `account.created`, `account.updated`, `account.deleted` or `account.reset`.
    """
    common = {"account_id": account.account_id, "user_id": shown_id(account.user_id), "name": account.name}
    return outbox.event_write(
        Event(
            event_id=event_id(type_, account.account_id, str(version)),
            type=type_,
            payload=common | {"exchange": account.exchange, "kind": account.kind, **payload},
            entity=f"account#{account.account_id}",
            user_id=account.user_id,
            created_at=at,
        )
    )


def creation_writes(account: Account, by: str, now: datetime) -> list[aws.Write]:
    """Returns the writes of a new account, without its directory entry."""
    change = record.Change(
        by,
        "account.created",
        f"account#{account.account_id}",
        account.user_id,
        now,
        after=audited_fields(account),
    )
    return [
        aws.put_write("accounts", new_item(account, now), "attribute_not_exists(account_id)"),
        record.write(change),
        event("account.created", account, {"is_active": account.is_active}, 1, now),
    ]


def new_item(account: Account, now: datetime) -> aws.Item:
    """Returns the item of a new account."""
    stamps = {"created_at": now.isoformat(), "updated_at": now.isoformat(), "version": 1}
    return account.model_dump() | stamps


def audited_fields(account: Account) -> dict[str, Any]:
    """Returns an account as the audit trail holds it, without its keys."""
    return account.model_dump(exclude={"sealed_keys", "user_id"})


def _directory_write(account: Account, expression: str, condition: str, **values: Any) -> aws.Write:
    """Returns an update of the directory. `#entry` stands for the account's name with any characters."""
    write = aws.update_write(
        "users", {"user_id": account.user_id, "part": "directory"}, expression, condition, **values
    )
    write["Update"]["ExpressionAttributeNames"]["#entry"] = account.name
    return write
