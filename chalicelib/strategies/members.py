"""The accounts on a strategy: adds, weights, pauses and removes them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chalicelib import aws, request_limits
from chalicelib.audit import record
from chalicelib.errors import Conflict, NotDoable, NotFound, Refused
from chalicelib.idempotency import IdempotentRequest
from chalicelib.strategies import store
from chalicelib.strategies.models import Member, Strategy
from chalicelib.versions import Edit, edit

_READ_AT_ONCE = 100
_LISTED_ACCOUNTS = 50  # accounts listed in an audit entry or event. Above, only their number is given


def check(user_id: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Raises what `add_accounts` would raise for these entries, except what depends on the strategy."""
    _members(user_id, entries)


def add_accounts(
    strategy: Strategy,
    entries: Sequence[Mapping[str, Any]],
    *,
    by: str,
    version: int | None = None,
    once: IdempotentRequest | None = None,
) -> Strategy:
    """Adds accounts to a strategy.

    Args:
        entries: Each has an `account_id`, and `weight`, `market_types`, `active` where they differ from the
            defaults.
        version: The version of the strategy that the editor saw. None edits the current version.
        once: The idempotency key of the request. None if it has none.

    Raises:
        Replayed: The accounts were added before, under the same key.
        NotDoable: `unknown_reference`: an account does not exist or belongs to another user.
            `too_many_accounts`.
        Conflict: `already_exists`: an account is already on the strategy. `version_conflict`.
    """
    members = _members(strategy.user_id, entries)

    def add(accounts: dict[str, Member]) -> dict[str, Member]:
        if accounts.keys() & members.keys():
            raise Conflict("already_exists", field="account_id")
        if len(accounts) + len(members) > request_limits.STRATEGY_ACCOUNTS:
            raise NotDoable("too_many_accounts", limit=request_limits.STRATEGY_ACCOUNTS)
        return accounts | members

    return _edit(strategy, by, version, add, once)


def change_account(
    strategy: Strategy, account_id: str, wanted: Mapping[str, Any], *, by: str, version: int | None = None
) -> Strategy:
    """Changes an account's `weight`, `market_types` or `active` on a strategy.

    Raises:
        NotFound: The account is not on the strategy.
        Conflict: `version_conflict`.
    """

    def change(accounts: dict[str, Member]) -> dict[str, Member]:
        if account_id not in accounts:
            raise NotFound("not_found")
        return accounts | {account_id: accounts[account_id].model_copy(update=dict(wanted))}

    return _edit(strategy, by, version, change)


def remove_account(strategy: Strategy, account_id: str, *, by: str) -> Strategy:
    """Removes an account from a strategy. Its position stays. Raises NotFound if it is not there."""

    def remove(accounts: dict[str, Member]) -> dict[str, Member]:
        if account_id not in accounts:
            raise NotFound("not_found")
        return {id_: member for id_, member in accounts.items() if id_ != account_id}

    return _edit(strategy, by, None, remove)


def _edit(
    strategy: Strategy,
    by: str,
    version: int | None,
    change: Callable[[dict[str, Member]], dict[str, Member]],
    once: IdempotentRequest | None = None,
) -> Strategy:
    now = datetime.now(UTC)

    def plan(item: aws.Item, next_version: int) -> Edit:
        if once:
            once.look()
        before = Strategy.model_validate(item).accounts
        after = change(before)
        touched = [id_ for id_ in {**before, **after} if before.get(id_) != after.get(id_)]
        if not touched:
            return Edit({})
        was, is_ = _changed_accounts(before, touched), _changed_accounts(after, touched)
        audited = record.Change(
            by, "strategy.accounts_changed", strategy.entity, strategy.user_id, now, was, is_
        )
        event = store.event(
            "strategy.accounts_changed", strategy, {"changed": is_, "accounts": len(after)}, next_version, now
        )
        fields = {
            "accounts": {id_: member.model_dump() for id_, member in after.items()},
            "updated_at": now.isoformat(),
        }
        writes: list[tuple[aws.Write, Refused | None]] = [(record.write(audited), None), (event, None)]
        if once:
            edited = Strategy.model_validate(item | fields | {"version": next_version})
            writes.append((once.write(edited.view()), None))
        return Edit(fields, writes)

    return Strategy.model_validate(edit("strategies", store.key(strategy), version, plan))


def _changed_accounts(accounts: Mapping[str, Member], touched: Sequence[str]) -> dict[str, Any]:
    """Returns the changed accounts as in `accounts`. Null stands for an account that is not there."""
    if len(touched) > _LISTED_ACCOUNTS:
        return {"accounts": sum(id_ in accounts for id_ in touched)}
    return {id_: accounts[id_].model_dump() if id_ in accounts else None for id_ in touched}


def _members(user_id: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Member]:
    ids = [str(entry["account_id"]) for entry in entries]
    if len(set(ids)) < len(ids):
        raise Conflict("already_exists", field="account_id")
    found: list[aws.Item | None] = []
    for start in range(0, len(ids), _READ_AT_ONCE):
        found += aws.get_many(
            [("accounts", {"account_id": id_}) for id_ in ids[start : start + _READ_AT_ONCE]]
        )
    members = {}
    for id_, item, entry in zip(ids, found, entries, strict=True):
        if item is None or item["user_id"] != user_id or "deleted_at" in item:
            raise NotDoable("unknown_reference", field="account_id")
        own = {name: item[name] for name in ("name", "exchange", "kind")}
        wanted = {name: value for name, value in entry.items() if name != "account_id"}
        members[id_] = Member.model_validate(
            {"market_types": item.get("market_types", ("spot", "futures"))} | own | wanted
        )
    return members
