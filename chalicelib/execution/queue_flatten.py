"""Queues the effects of a halt, or of a user's request to close, on open orders and positions.

Each account concerned gets one message in its own queue, to cancel or to close.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime

from chalicelib import aws
from chalicelib.events.models import event_id
from chalicelib.orders import queue
from chalicelib.orders.models import Flatten
from chalicelib.risk import state as risk_state
from chalicelib.risk.halts import Scope, Switch
from chalicelib.risk.state import Flattening
from chalicelib.trading import MarketType, Symbol


def queue_flatten(flattening: Iterable[Flattening]) -> None:
    """Queues the closing of each account. Idempotent: the orders get the same names again."""
    for each in flattening:
        queue.send_messages([_message(each, *account) for account in _accounts(each.switch)])
        risk_state.mark_flattened(each.switch)


def cancel_entries(switch: Switch, since: str) -> None:
    """Queues the cancelling of resting entries for each account of a manual halt. Idempotent.

    For a global halt, the sweep that notifies users queues the accounts user by user.

    Args:
        since: Start of the halt, ISO 8601.
    """
    if switch.scope is not Scope.GLOBAL:
        halted = Flattening(switch, since, entries_only=True)
        queue.send_messages([_message(halted, *account) for account in _accounts(switch)])


def cancel_entries_of(user_ids: Iterable[str], since: str) -> None:
    """Queues the cancelling of resting entries for users' accounts during a global halt."""
    for user_id in user_ids:
        cancel_entries(Switch(Scope.USER, user_id, user_id), since)


def close_messages(
    switch: Switch, symbol: Symbol | None, market_type: MarketType | None, now: datetime
) -> list[Flatten]:
    """Returns the messages that close positions because a signed-in user asked, one for each account.

    Args:
        switch: The account, strategy or user whose positions are closed.
        symbol: The only symbol to close. None closes all.
        market_type: The only market to close. None closes both.
    """
    close_id = uuid.uuid4().hex
    return [
        Flatten(
            flatten_id=close_id,
            user_id=switch.owner or "",
            account_id=account_id,
            exchange=exchange,
            symbols=symbols,
            group_name=switch.name if switch.scope is Scope.STRATEGY else None,
            symbol=symbol,
            market_type=market_type,
            at=now,
        )
        for account_id, exchange, symbols in _accounts(switch)
    ]


def _message(flattening: Flattening, account_id: str, exchange: str, symbols: tuple[str, ...]) -> Flatten:
    return Flatten(
        flatten_id=event_id(
            "halt" if flattening.entries_only else "flatten", flattening.switch.key["scope"], flattening.since
        ),
        user_id=flattening.switch.owner or "",
        account_id=account_id,
        exchange=exchange,
        symbols=symbols,
        group_name=flattening.switch.name if flattening.switch.scope is Scope.STRATEGY else None,
        entries_only=flattening.entries_only,
        halt=asdict(flattening.switch),
        at=datetime.fromisoformat(flattening.since),
    )


def _accounts(switch: Switch) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yields id, exchange and symbols of each account under a halt. Empty symbols mean all."""
    if switch.scope is Scope.ACCOUNT:
        [item] = aws.get_many([("accounts", {"account_id": switch.id or ""})])
        if item:
            yield item["account_id"], item["exchange"], ()
        return
    strategy = switch.scope is Scope.STRATEGY
    key = {
        "user_id": switch.owner or "",
        **({"group_name": switch.name or ""} if strategy else {"part": "directory"}),
    }
    [item] = aws.get_many([("strategies" if strategy else "users", key)])
    found = (item or {}).get("accounts", {})
    symbols = tuple((item or {}).get("symbols", ())) if strategy else ()
    for name, account in found.items():
        yield name if strategy else account["account_id"], account["exchange"], symbols
