"""A user's tokens: creates them, lists them without secrets, rotates them with an overlap, revokes them."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.audit import record
from chalicelib.errors import Forbidden, NotFound, Refused
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.users import addresses, credentials, store
from chalicelib.users.access import Caller, family_of
from chalicelib.users.credentials import Kind, Scope
from chalicelib.users.models import shown_id

KINDS = {"webhook": Kind.WEBHOOK, "api": Kind.API}
"""Kinds of token by their name in the API."""
SHORTEST_CHOSEN = 20
LEAST_ENTROPY = 60  # bits
OVERLAP = timedelta(hours=24)
_LONGEST_ID = 64
_INHERITED = ("signals_per_minute", "scope", "made_by", "lasts_s", "allowed_addresses")  # by a successor
_REVOKED_AT_ONCE = 30  # each needs two writes, and a transaction holds 100
_REMEMBERED = timedelta(days=30)  # how long an ended token remains in the list


@dataclass(frozen=True, slots=True)
class NewToken:
    """A new token in clear. It cannot be shown again."""

    token: str = field(repr=False)
    item: aws.Item


def create_token(
    user_id: str,
    kind: Kind,
    *,
    by: str,
    name: str | None = None,
    expires_at: datetime | None = None,
    chosen: str | None = None,
    signals_per_minute: int | None = None,
    scope: Scope | None = None,
    allowed_addresses: Sequence[str] = (),
    maker: Caller | None = None,
) -> NewToken:
    """Creates a token for a user. It may not do more, last longer or be used from elsewhere than its maker.

    Args:
        chosen: A token that the user chose, only for webhooks, with at least `SHORTEST_CHOSEN` characters.
            None creates a random one.
        signals_per_minute: The limit of this webhook token. None applies the user's settings.
        scope: The scope of an API token. None takes the maker's.
        allowed_addresses: Addresses and networks that may use the token. Empty takes the maker's list of an
            API token. Without one, every address may use the token.
        maker: The caller whose token creates it. None for the deployment itself.

    Raises:
        Forbidden: `scope_missing`: the scope is wider than the maker's. `addresses_wider`: an address is not
            on the maker's list.
        NotFound: The user does not exist.
        Refused: The chosen token is too short, can be guessed, is in use, names a user, or is for the API.
            Or `expires_at` is in the past.
    """
    now = datetime.now(UTC)
    _check(kind, chosen, expires_at, now)
    if signals_per_minute is not None and kind is not Kind.WEBHOOK:
        raise Refused("not_for_kind", field="signals_per_minute", kind="api")
    if scope is not None and kind is not Kind.API:
        raise Refused("not_for_kind", field="scope", kind="webhook")
    if scope is not None and maker is not None and not maker.scope.covers(scope):
        raise Forbidden("scope_missing", scope=scope.value)
    limits = maker.allowed_addresses if maker and kind is Kind.API else ()
    if allowed_addresses and not addresses.covers(limits, allowed_addresses):
        raise Forbidden("addresses_wider", field="allowed_addresses")
    if maker is not None and maker.token_expires_at:
        expires_at = min(expires_at or maker.token_expires_at, maker.token_expires_at)
    token = chosen or credentials.new(kind, user_id)
    item = _item(user_id, token, kind, name=name, expires_at=expires_at, now=now) | {
        "chosen": chosen is not None
    }
    item |= {"made_by": maker.token_family} if maker and maker.token_family else {}
    if kind is Kind.API:
        item |= {"scope": (scope or (maker.scope if maker else Scope.ADMIN)).value}
    item |= {"signals_per_minute": signals_per_minute} if signals_per_minute else {}
    allowed = list(allowed_addresses or limits)
    item |= {"allowed_addresses": allowed} if allowed else {}
    more = {"allowed_addresses": allowed} if allowed else {}
    writes = _audit_and_event_writes("token.created", item, by, now, more=more)
    _save(item, [writes, *_user_exists(user_id)])
    return NewToken(token, item)


def rotate_token(
    user_id: str, token_id: str, *, by: str, overlap: timedelta = OVERLAP, maker: Caller | None = None
) -> NewToken:
    """Creates a token's successor of the same kind, name, scope, addresses and duration.

    The old token stays valid for the overlap, or until it expires.

    Raises:
        NotFound: The user has no such token, or it was revoked.
    """
    now = datetime.now(UTC)
    old = _find(user_id, token_id)
    ends = now + overlap
    if old.get("expires_at"):
        ends = min(ends, datetime.fromisoformat(old["expires_at"]))
    token = credentials.new(Kind(old["kind"]), user_id)
    expires_at = _successor_ends(old, now, maker)
    item = _item(user_id, token, Kind(old["kind"]), name=old.get("name"), expires_at=expires_at, now=now) | {
        "chosen": False
    }
    item |= {name: old[name] for name in _INHERITED if name in old}
    item["family"] = family_of(old)
    retired = aws.update_write(
        "credentials",
        {"token_hash": old["token_hash"]},
        "SET expires_at = :ends, forget_at = :forget, replaced_by = :new",
        "attribute_not_exists(revoked_at)",
        ends=ends.isoformat(),
        forget=int((ends + _REMEMBERED).timestamp()),
        new=item["token_id"],
    )
    before, after = {"token_id": token_id}, {"token_id": item["token_id"], "old_expires_at": ends.isoformat()}
    _save(
        item, [_audit_and_event_writes("token.rotated", item, by, now, before=before, after=after), [retired]]
    )
    return NewToken(token, item)


def revoke_token(user_id: str, token_id: str, *, by: str) -> int:
    """Revokes a token and every token made with it. Returns the number of revoked tokens.

    Raises:
        NotFound: The user has no such token, or it was revoked before.
    """
    item = _find(user_id, token_id)
    return _revoke([item, *_made_with(item)], by)


def revoke_all(user_id: str, *, by: str) -> int:
    """Revokes all tokens of a user and every token made with them. Returns the number of revoked tokens.

    Codes of `/xc` stay valid.
    """
    kinds = [kind.value for kind in KINDS.values()]
    own = [
        each
        for each in aws.query_all("credentials", "user_id = :u", index="by_user", u=user_id)
        if each["kind"] in kinds
    ]
    found = {
        each["token_hash"]: each
        for item in own
        for each in (item, *_made_with(item))
        if not each.get("revoked_at")
    }
    return _revoke(list(found.values()), by) if found else 0


def _made_with(item: aws.Item) -> list[aws.Item]:
    """Returns every token made with this one or its family, recursively."""
    found: dict[str, aws.Item] = {}
    families = [family] if (family := family_of(item)) else []
    while families:
        family = families.pop()
        for made in aws.query_all("credentials", "made_by = :family", index="by_maker", family=family):
            if made["token_hash"] not in found and made["token_hash"] != item["token_hash"]:
                found[made["token_hash"]] = made
                families += [family_of(made)] if family_of(made) else []
    return [made for made in found.values() if not made.get("revoked_at")]


def _revoke(items: list[aws.Item], by: str) -> int:
    """Revokes tokens in batches. A token that was revoked concurrently keeps its earlier time."""
    now = datetime.now(UTC)
    for start in range(0, len(items), _REVOKED_AT_ONCE):
        part = items[start : start + _REVOKED_AT_ONCE]
        first, *others = part
        made = {"also": [_id(each) for each in others]} if others else {}
        entry, *events = _audit_and_event_writes("token.revoked", first, by, now, more=made)
        for each in others:
            events += _audit_and_event_writes("token.revoked", each, by, now)[1:]
        try:
            aws.transact([*(_revocation(each, now) for each in part), entry, *events])
        except aws.WriteRefused:
            if len(items) == 1:
                raise NotFound("not_found") from None
            current = [aws.get("credentials", {"token_hash": each["token_hash"]}) for each in part]
            for each in (each for each in current if each and not each.get("revoked_at")):
                _revoke([each], by)
    return len(items)


def _revocation(item: aws.Item, now: datetime) -> aws.Write:
    return aws.update_write(
        "credentials",
        {"token_hash": item["token_hash"]},
        "SET revoked_at = :now, forget_at = :forget",
        "attribute_exists(token_hash) AND attribute_not_exists(revoked_at)",
        now=now.isoformat(),
        forget=int((now + _REMEMBERED).timestamp()),
    )


def _successor_ends(old: aws.Item, now: datetime, maker: Caller | None) -> datetime | None:
    """Returns when a token's successor expires. None if never.

    The successor lasts as long as the old token, but ends no later than another token that creates it.
    """
    lasts_s = old.get("lasts_s")
    ends = now + timedelta(seconds=int(lasts_s)) if lasts_s is not None else None
    if maker is None or maker.token_expires_at is None or maker.token_family == family_of(old):
        return ends
    return min(ends or maker.token_expires_at, maker.token_expires_at)


def view(item: aws.Item, last_used: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Returns the view of a token, without its secret and hash.

    Args:
        last_used: When the user's webhook tokens were last used, by hash. None for a new token. An API token
            stores its last use itself.
    """
    over = item.get("revoked_at") or (
        item.get("expires_at") and datetime.fromisoformat(item["expires_at"]) <= datetime.now(UTC)
    )
    return {
        "token_id": item.get("token_id"),
        "user_id": shown_id(item["user_id"]),
        "kind": _kind_name(item["kind"]),
        "name": item.get("name"),
        "chosen": item.get("chosen", False),
        "is_active": not over,
        "created_at": item["created_at"],
        "expires_at": item.get("expires_at"),
        "revoked_at": item.get("revoked_at"),
        "signals_per_minute": item.get("signals_per_minute"),
        "scope": item.get("scope", Scope.ADMIN.value) if item["kind"] == Kind.API else None,
        "allowed_addresses": list(item.get("allowed_addresses") or ()),
        "made_by": item.get("made_by"),
        "last_used_at": item.get("last_used_at") or (last_used or {}).get(item["token_hash"]),
    }


def _kind_name(kind: str) -> str:
    """Returns the API's name of a stored kind."""
    return next((name for name, stored in KINDS.items() if stored.value == kind), kind)


def _check(kind: Kind, chosen: str | None, expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise Refused("must_be_future", field="expires_at")
    if chosen is None:
        return
    if kind is not Kind.WEBHOOK:
        raise Refused("not_for_kind", field="token", kind="api")
    if len(chosen) < SHORTEST_CHOSEN:
        raise Refused("too_short", field="token", limit=SHORTEST_CHOSEN)
    if credentials.owner(chosen) is not None or credentials.entropy(chosen) < LEAST_ENTROPY:
        raise Refused(
            "invalid_value", field="token"
        )  # the token can be guessed, or names a user, perhaps another one


def _item(
    user_id: str, token: str, kind: Kind, *, name: str | None, expires_at: datetime | None, now: datetime
) -> aws.Item:
    item: aws.Item = {
        "token_hash": credentials.digest(token),
        "token_id": uuid.uuid4().hex[:16],
        "kind": kind.value,
        "user_id": user_id,
        "name": name,
        "created_at": now.isoformat(timespec="microseconds"),
    }
    if expires_at:
        item["lasts_s"] = int((expires_at - now).total_seconds()) + 1
        item |= {
            "expires_at": expires_at.isoformat(),
            "forget_at": int((expires_at + _REMEMBERED).timestamp()),
        }
    return item


def _save(item: aws.Item, also: list[list[aws.Write]]) -> None:
    pointer = {"token_hash": _pointer(item["token_id"]), "points_to": item["token_hash"]}
    writes = [
        aws.put_write("credentials", item, "attribute_not_exists(token_hash)"),
        aws.put_write("credentials", pointer, "attribute_not_exists(token_hash)"),
        *(write for writes in also for write in writes),
    ]
    try:
        aws.transact(writes)
    except aws.WriteRefused as refused:
        if refused.failed[0] is not None:
            raise Refused(
                "invalid_value", field="token"
            ) from None  # the same error as for a weak token, to hide that the token is in use
        raise NotFound("not_found") from None  # the user, or the token to replace


def _find(user_id: str, token_id: str) -> aws.Item:
    pointer = (
        aws.get("credentials", {"token_hash": _pointer(token_id)}) if len(token_id) <= _LONGEST_ID else None
    )
    item = aws.get("credentials", {"token_hash": pointer["points_to"]}) if pointer else None
    if item is None or item["user_id"] != user_id or item.get("revoked_at"):
        raise NotFound("not_found")
    return item


def _pointer(token_id: str) -> str:
    return f"id#{token_id}"


def _user_exists(user_id: str) -> list[list[aws.Write]]:
    return [[aws.check_write("users", store.key(user_id, "profile"), "attribute_exists(user_id)")]]


def _id(item: aws.Item) -> str:
    """Returns the id that the API shows."""
    return str(item.get("token_id") or item["token_hash"][:16])


def _audit_and_event_writes(
    action: str,
    item: aws.Item,
    by: str,
    now: datetime,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> list[aws.Write]:
    """Returns the audit entry and the event, both without the token and its hash."""
    seen = {name: item.get(name) for name in ("name", "expires_at")} | {
        "token_id": _id(item),
        "kind": _kind_name(item["kind"]),
    }
    entity = f"token#{_id(item)}"
    event = Event(
        event_id=event_id(action, _id(item)),
        type=action,
        payload={"user_id": shown_id(item["user_id"]), **seen},
        entity=entity,
        user_id=item["user_id"],
        created_at=now,
    )
    change = record.Change(
        by, action, entity, item["user_id"], now, before or {}, (after or seen) | (more or {})
    )
    return [record.write(change), outbox.event_write(event)]
