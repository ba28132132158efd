"""Detects strategies that should have sent a signal by now.

TradingView tells only the alert's owner when it switches an alert off.

A strategy that expects a signal every `expect_every_s` seconds has the attributes `watched` and
`silent_from`. The one-minute sweeper finds it by these in the index `expecting_signals`. A signal moves
`silent_from` only if that gains at least a twentieth of the expected time, because a write for each signal
would be expensive. Silence is therefore detected up to a twentieth late, never early.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib import aws

_WATCHED = "1"
_STEP = 0.05


def expecting_attributes(expect_every_s: int | None, now: datetime, *, active: bool) -> dict[str, str] | None:
    """Returns the attributes of a strategy that expects signals from now.

    None for a strategy that expects none and must not have the attributes.
    """
    return (
        {"watched": _WATCHED, "silent_from": _from(int(expect_every_s), now)}
        if expect_every_s and active
        else None
    )


def note_signal(strategy: Mapping[str, Any] | None, now: datetime) -> None:
    """Moves a strategy's `silent_from` after a signal, if it expects signals and the step is large."""
    if strategy is None or "watched" not in strategy:
        return
    expected = int(strategy["expect_every_s"])
    next_silence = _from(expected, now)
    step = timedelta(seconds=expected * _STEP)
    if datetime.fromisoformat(next_silence) - datetime.fromisoformat(strategy["silent_from"]) < step:
        return
    key = {"user_id": strategy["user_id"], "group_name": strategy["group_name"]}
    try:
        aws.write(
            aws.update_write(
                "strategies",
                key,
                "SET silent_from = :following",
                "attribute_exists(watched)",
                following=next_silence,
            )
        )
    except aws.WriteRefused:
        return  # the strategy was deleted or no longer expects signals


def silent_strategies(now: datetime) -> list[dict[str, Any]]:
    """Returns the strategies without a signal for longer than expected."""
    return list(
        aws.query_all(
            "strategies",
            "watched = :yes AND silent_from < :now",
            index="expecting_signals",
            yes=_WATCHED,
            now=now.isoformat(),
        )
    )


def _from(expect_every_s: int, now: datetime) -> str:
    return (now + timedelta(seconds=expect_every_s * (1 + _STEP))).isoformat()
