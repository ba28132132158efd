"""Creates, changes and deletes accounts. The change's transaction holds audit entry, event and directory."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from chalicelib import aws, counters
from chalicelib.accounts import key_encryption, store
from chalicelib.accounts.model import Account
from chalicelib.audit import record
from chalicelib.errors import Conflict, NotFound, Refused, Retryable
from chalicelib.exchanges.protocol import Credentials
from chalicelib.idempotency import IdempotentRequest
from chalicelib.trading import MarketType
from chalicelib.users import store as users
from chalicelib.users.change import update_settings
from chalicelib.users.models import AccountKind
from chalicelib.versions import Edit, changed_fields, edit

PAPER = "paper"
_TRIES = 50  # numbers of the counter that may already be in use
_SIMULATION = ("currency", "starting_cash", "slippage_bps", "commission_bps", "fill_rate")


def create_account(
    user_id: str,
    name: str,
    kind: AccountKind,
    *,
    by: str,
    exchange: str = PAPER,
    credentials: Credentials | None = None,
    once: IdempotentRequest | None = None,
    **more: Any,
) -> Account:
    """Creates an account. A user's first paper account becomes the default account.

    Args:
        exchange: Always `paper` for a paper account.
        credentials: The exchange's API key. Required for a live account. A demo account without a key is
            simulated here.
        once: The idempotency key of the request. None if it has none.
        more: Other fields of `Account`: `market_types`, `currency`, `starting_cash`, `slippage_bps`,
            `commission_bps`, `fill_rate`, `is_active`.

    Raises:
        Replayed: The account was created before, under the same key.
        NotFound: The user does not exist.
        Conflict: The user has an account of this name.
        Refused: A field is invalid for this kind of account.
        NotDoable: The exchange reports that the key is wrong, may not trade, or may withdraw.
    """
    _check_fields(
        kind, exchange, {name: value for name, value in more.items() if value is not None}, credentials
    )
    settings = users.settings(user_id)
    if credentials:
        verified = key_encryption.check(
            exchange, MarketType(more.get("market_types", ("spot",))[0]), credentials
        )
        more |= {"verified": verified, "key_checked_at": datetime.now(UTC).isoformat() if verified else None}
    account = _create(
        Account(account_id="", user_id=user_id, name=name, exchange=exchange, kind=kind.value, **more),
        credentials,
        by,
        once,
    )
    if kind is AccountKind.PAPER and settings.default_account is None:
        update_settings(user_id, {"default_account": name}, by=by, audited=False)
    return account


def update_account(
    account_id: str, wanted: Mapping[str, Any], *, by: str, version: int | None = None
) -> aws.Item:
    """Changes an account and returns the new item.

    Args:
        wanted: Fields of `Account` by name. `credentials` replaces the exchange keys. None removes the keys
            of a demo account.
        version: The version that the editor saw. None edits the current version.

    Raises:
        NotFound: The account does not exist.
        Conflict: `version_conflict`.
        Refused, NotDoable: As `create_account` raises.
    """
    now = datetime.now(UTC)
    fields = {name: value for name, value in wanted.items() if name != "credentials"}
    old = Account.model_validate(store.item(account_id))
    credentials = wanted.get("credentials")
    has_keys = old.sealed_keys is not None and "credentials" not in wanted
    _check_fields(AccountKind(old.kind), old.exchange, fields, credentials, has_keys=has_keys)
    if credentials:
        verified = key_encryption.check(old.exchange, MarketType(old.market_types[0]), credentials)
        fields |= _key_attributes(old, credentials)
        fields |= {"key_checked_at": now.isoformat() if verified else None, "verified": verified}
    elif "credentials" in wanted:
        fields |= {"sealed_keys": None, "api_key_last4": None, "key_version": old.key_version + 1}
        fields |= {"key_checked_at": None, "verified": None}

    def plan(found: aws.Item, next_version: int) -> Edit:
        if "deleted_at" in found:
            raise NotFound("not_found")
        before = Account.model_validate(found)
        changed = changed_fields(before.model_dump(), fields)
        if not changed:
            return Edit({})
        after = before.model_copy(update=changed)
        shown = [name for name in changed if name != "sealed_keys"]
        was, is_ = ({name: getattr(account, name) for name in shown} for account in (before, after))
        change = record.Change(by, "account.updated", f"account#{account_id}", before.user_id, now, was, is_)
        also: list[tuple[aws.Write, Refused | None]] = [
            (record.write(change), None),
            (
                store.event("account.updated", after, {name: is_[name] for name in shown}, next_version, now),
                None,
            ),
        ]
        if "is_active" in changed:
            also.append((store.directory_entry_write(after, "attribute_exists(accounts)"), None))
        kept = (
            {"first_cash": found.get("first_cash", before.starting_cash)}
            if "starting_cash" in changed
            else {}
        )
        return Edit(changed | kept | {"updated_at": now.isoformat()}, also)

    return edit("accounts", {"account_id": account_id}, version, plan)


def delete_account(account_id: str, *, by: str) -> None:
    """Deletes an account. Its keys are deleted, its name is free again, its orders stay in the order store.

    Raises:
        NotFound: The account does not exist.
        Conflict: `account_in_use`: the account is on a strategy, which the error names. Remove the account
            from the strategy first.
    """
    now = datetime.now(UTC)
    account = Account.model_validate(store.item(account_id))
    _check_unused(account)

    def plan(found: aws.Item, next_version: int) -> Edit:
        if "deleted_at" in found:
            raise NotFound("not_found")
        change = record.Change(
            by,
            "account.deleted",
            f"account#{account_id}",
            account.user_id,
            now,
            before=store.audited_fields(account),
        )
        also: list[tuple[aws.Write, Refused | None]] = [
            (store.directory_removal_write(account), None),
            (record.write(change), None),
            (store.event("account.deleted", account, {}, next_version, now), None),
        ]
        return Edit({"deleted_at": now.isoformat(), "is_active": False}, also, removed=["sealed_keys"])

    edit("accounts", {"account_id": account_id}, None, plan)
    if users.settings(account.user_id).default_account == account.name:
        update_settings(account.user_id, {"default_account": None}, by=by, audited=False)


def _create(
    template: Account, credentials: Credentials | None, by: str, once: IdempotentRequest | None
) -> Account:
    """Stores the account under the next free number."""
    for _ in range(_TRIES):
        now = datetime.now(UTC)
        account = template.model_copy(update={"account_id": str(counters.next_value("account"))})
        if credentials:
            account = account.model_copy(update=_key_attributes(account, credentials))
        listed = store.directory_entry_write(
            account, "attribute_exists(accounts) AND attribute_not_exists(accounts.#entry)"
        )
        last = [once.write(store.view(store.new_item(account, now)))] if once else []
        try:
            aws.transact([listed, *store.creation_writes(account, by, now), *last])
        except aws.WriteRefused as refused:
            if once:
                once.check(refused)
            if refused.failed[0] is not None:
                raise Conflict("already_exists", field="name") from None
        else:
            return account
    raise Retryable("no free account id found")


def _check_fields(
    kind: AccountKind,
    exchange: str,
    fields: Mapping[str, Any],
    credentials: Credentials | None,
    *,
    has_keys: bool = False,
) -> None:
    if (kind is AccountKind.PAPER) != (exchange == PAPER):
        raise Refused("not_for_kind", field="exchange", kind=kind.value)
    if kind is AccountKind.PAPER and credentials:
        raise Refused("not_for_kind", field="api_key", kind=kind.value)
    if kind is AccountKind.LIVE:
        if field := next((name for name in _SIMULATION if name in fields), None):
            raise Refused("not_for_kind", field=field, kind=kind.value)
        if not credentials and not has_keys:
            raise Refused("missing_field", field="api_key")


def _key_attributes(account: Account, credentials: Credentials) -> dict[str, Any]:
    """Returns the attributes that hold new keys."""
    sealed = key_encryption.seal(account.account_id, credentials)
    return {
        "sealed_keys": sealed,
        "api_key_last4": credentials.api_key[-4:],
        "key_version": account.key_version + 1,
    }


def _check_unused(account: Account) -> None:
    for strategy in aws.query_all("strategies", "user_id = :user", user=account.user_id):
        if account.account_id in strategy.get("accounts", {}):
            raise Conflict("account_in_use", strategy=strategy["group_name"])
