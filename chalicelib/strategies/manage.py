"""Creates, changes and deletes strategies. The change's transaction holds audit entry and event."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chalicelib import aws, counters
from chalicelib import symbols as names
from chalicelib.audit import record
from chalicelib.errors import Conflict, Retryable
from chalicelib.idempotency import IdempotentRequest
from chalicelib.signals import expected_signals
from chalicelib.strategies import store
from chalicelib.strategies.models import Strategy
from chalicelib.users import store as users
from chalicelib.versions import Edit, changed_fields, edit

_TRIES = 50  # numbers of the counter that may already be in use


def create_strategy(
    user_id: str,
    group_name: str,
    *,
    by: str,
    description: str | None = None,
    symbols: Sequence[str] = (),
    is_active: bool = True,
    resync: bool = False,
    expect_every_s: int | None = None,
    max_price_deviation_percent: Decimal | None = None,
    once: IdempotentRequest | None = None,
) -> Strategy:
    """Creates a strategy without accounts.

    Args:
        symbols: The symbols to trade, in any notation of signals. Empty trades all.
        once: The idempotency key of the request. None if it has none.

    Raises:
        Replayed: The strategy was created before, under the same key.
        NotFound: The user does not exist.
        Conflict: The user has a strategy of this name.
        Refused: A symbol is in no known notation.
    """
    users.user(user_id)
    for _ in range(_TRIES):
        now = datetime.now(UTC)
        strategy = Strategy(
            strategy_id=str(counters.next_value("strategy")),
            user_id=user_id,
            group_name=group_name,
            description=description,
            is_active=is_active,
            symbols=plain_symbols(symbols),
            resync=resync,
            expect_every_s=expect_every_s,
            max_price_deviation_percent=max_price_deviation_percent,
            created_at=now.isoformat(),
            updated_at=now.isoformat(),
        )
        try:
            aws.transact([*_writes(strategy, by, now), *([once.write(strategy.view())] if once else [])])
        except aws.WriteRefused as refused:
            if once:
                once.check(refused)
            if refused.failed[0] is not None:
                raise Conflict("already_exists", field="group_name") from None
        else:
            return strategy
    raise Retryable("no free strategy id found")


def _writes(strategy: Strategy, by: str, now: datetime) -> list[aws.Write]:
    pointer = {
        **store.pointer_key(strategy.strategy_id),
        "owner": strategy.user_id,
        "points_to": strategy.group_name,
    }
    after = strategy.model_dump(exclude={"accounts", "version"})
    payload = {"is_active": strategy.is_active, "symbols": list(strategy.symbols)}
    watched = (
        expected_signals.expecting_attributes(strategy.expect_every_s, now, active=strategy.is_active) or {}
    )
    return [
        aws.put_write("strategies", strategy.model_dump() | watched, "attribute_not_exists(user_id)"),
        aws.put_write("strategies", pointer, "attribute_not_exists(user_id)"),
        record.write(
            record.Change(by, "strategy.created", strategy.entity, strategy.user_id, now, after=after)
        ),
        store.event("strategy.created", strategy, payload, 1, now),
    ]


def update_strategy(
    strategy: Strategy, wanted: Mapping[str, Any], *, by: str, version: int | None = None
) -> Strategy:
    """Changes a strategy and returns the new state.

    Args:
        wanted: `description`, `is_active`, `symbols`, `resync`, `expect_every_s`,
            `max_price_deviation_percent` by name.
        version: The version that the editor saw. None edits the current version.

    Raises:
        NotFound: The strategy no longer exists.
        Conflict: `version_conflict`.
        Refused: A symbol is in no known notation.
    """
    now = datetime.now(UTC)
    if "symbols" in wanted:
        wanted = {**wanted, "symbols": plain_symbols(wanted["symbols"])}

    def plan(item: aws.Item, next_version: int) -> Edit:
        before = Strategy.model_validate(item).model_dump()
        fields = changed_fields(before, wanted)
        if not fields:
            return Edit({})
        old = {name: before[name] for name in fields}
        change = record.Change(by, "strategy.updated", strategy.entity, strategy.user_id, now, old, fields)
        event = store.event("strategy.updated", strategy, {**fields}, next_version, now)
        more: dict[str, Any] = {"updated_at": now.isoformat()}
        removed: Sequence[str] = ()
        if {"expect_every_s", "is_active"} & fields.keys():
            after = before | fields
            watched = expected_signals.expecting_attributes(
                after["expect_every_s"], now, active=after["is_active"]
            )
            more |= watched or {}
            removed = [] if watched else ["watched", "silent_from"]
        return Edit(fields | more, [(record.write(change), None), (event, None)], removed=removed)

    return Strategy.model_validate(edit("strategies", store.key(strategy), version, plan))


def delete_strategy(strategy: Strategy, *, by: str) -> None:
    """Deletes a strategy. Its accounts stay. Further signals get the answer for an unknown strategy."""
    now = datetime.now(UTC)
    change = record.Change(
        by,
        "strategy.deleted",
        strategy.entity,
        strategy.user_id,
        now,
        before=strategy.model_dump(exclude={"version"}),
    )
    try:
        aws.transact(
            [
                aws.delete_write(
                    "strategies", store.key(strategy), "strategy_id = :id", id=strategy.strategy_id
                ),
                aws.delete_write("strategies", store.pointer_key(strategy.strategy_id)),
                record.write(change),
                store.event("strategy.deleted", strategy, {}, strategy.version + 1, now),
            ]
        )
    except aws.WriteRefused:
        return  # deleted concurrently


def plain_symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    """Returns symbols by their plain names, without duplicates: `BINANCE:BTCUSDT.P` is `BTCUSDT`."""
    return tuple(dict.fromkeys(names.resolve(symbol).name for symbol in symbols))
