"""Strategies that should have been heard of by now.

TradingView switches an alert off without telling anybody but its owner.

A strategy that says how often it expects a signal (`expect_every_s`) carries `expecting_signals` and
`silent_from`, by which the minute's sweep finds it once that time has come. A signal moves `silent_from`, but
only when it has come closer by a twentieth of the expected time: a busy strategy would otherwise be one write
more with each signal. So silence is noticed up to a twentieth late, never early.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib import aws

_WATCHED = "1"
_STEP = 0.05


def expecting_attributes(expect_every_s: int | None, now: datetime, *, active: bool) -> dict[str, str] | None:
    """The attributes of a strategy that is watched from now.

    None for one that is not, and must not have them.
    """
    return (
        {"watched": _WATCHED, "silent_from": _from(int(expect_every_s), now)}
        if expect_every_s and active
        else None
    )


def note_signal(strategy: Mapping[str, Any] | None, now: datetime) -> None:
    """Notes a signal of a strategy, as read at acceptance, if it is watched and that is worth noting."""
    if strategy is None or "watched" not in strategy:
        return
    expected = int(strategy["expect_every_s"])
    following = _from(expected, now)
    step = timedelta(seconds=expected * _STEP)
    if datetime.fromisoformat(following) - datetime.fromisoformat(strategy["silent_from"]) < step:
        return
    key = {"user_id": strategy["user_id"], "group_name": strategy["group_name"]}
    try:
        aws.write(
            aws.update_write(
                "strategies",
                key,
                "SET silent_from = :following",
                "attribute_exists(watched)",
                following=following,
            )
        )
    except aws.WriteRefused:
        return  # no longer watched, or deleted


def silent_strategies(now: datetime) -> list[dict[str, Any]]:
    """The strategies that have been silent for longer than they expect."""
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
