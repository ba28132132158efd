"""Detects alerts that never arrived.

Each alert of a TradingView strategy names the position after and before its order (`market_position`,
`prev_market_position`). If the previous alert led to another position, an alert in between is missing.

The two alerts of a reversal may arrive swapped, the entry before the exit. The late exit must do nothing,
because it would close the new position.

A scope's position is the one named by its last accepted alert. A refused alert counts as missed too, because
the strategy continued without us. Alerts are ordered by arrival.
"""

from datetime import datetime, timedelta

from chalicelib import aws
from chalicelib.events.models import Event, event_id
from chalicelib.signals.models import Signal
from chalicelib.trading import Action, Frozen

_KEPT = timedelta(days=90)

_SWAPPED_WITHIN = timedelta(seconds=60)
"""How far apart the two alerts of one reversal may arrive.

TradingView sends both at once, and each up to four times, 5 s apart.
"""

_UNKNOWN = "unknown"
"""The position before the first alert of a scope."""


class AlertGap(Frozen):
    """The gap before an alert.

    Attributes:
        known_position: The position after the last alert: `long`, `short` or `flat`.
        prev_market_position: The position before this alert, as the alert says.
        last_signal_id: The last alert, received at `last_received_at`, ISO 8601 in UTC.
        came_late: Nothing is missing. The last alert is the entry of a reversal, and this alert is the exit
            that belongs before it.
        may_be_late: As `came_late`, but the position before the entry is unknown. Execution knows whether the
            entry closed it.
    """

    known_position: str
    prev_market_position: str
    last_signal_id: str
    last_received_at: str
    came_late: bool = False
    may_be_late: bool = False


def position_write(
    signal: Signal, scope: str, signal_id: str, at: datetime, missed: AlertGap | None
) -> aws.Write:
    """Returns the write of a scope's position.

    The condition fails if an alert is missing that `missed` does not describe. The error has the stored item.
    """
    key = {"key": f"position#{scope}"}
    if missed and missed.came_late:  # the position after the entry is still valid
        forget_at = int((at + _KEPT).timestamp())
        return aws.update_write(
            "idempotency",
            key,
            "SET forget_at = :at",
            "signal_id = :last",
            at=forget_at,
            last=missed.last_signal_id,
        )
    condition, values = None, {}
    if missed:
        condition, values = "signal_id = :last", {"last": missed.last_signal_id}
    elif signal.prev_market_position is not None:
        condition = "attribute_not_exists(signal_id) OR market_position = :said"
        values = {"said": signal.prev_market_position}
    return aws.update_write(
        "idempotency",
        key,
        "SET position_before = if_not_exists(market_position, :unknown), market_position = :position, "
        "prev_market_position = :before, signal_id = :signal_id, received_at = :at, forget_at = :forget_at",
        condition,
        unknown=_UNKNOWN,
        position=signal.market_position,
        before=signal.prev_market_position or _UNKNOWN,
        signal_id=signal_id,
        at=at.isoformat(),
        forget_at=int((at + _KEPT).timestamp()),
        **values,
    )


def gap_of(signal: Signal, last: aws.Item, at: datetime) -> AlertGap | None:
    """Returns the gap between a scope's stored position and an alert. None if nothing is missing.

    Args:
        signal: The alert.
        last: The stored position. Empty if there is none.
        at: When the alert was received.
    """
    before = signal.prev_market_position
    if before is None or before == last.get("market_position", before):
        return None
    swapped = _are_swapped(signal, last, at)
    position_before = last.get("position_before", _UNKNOWN)
    return AlertGap(
        known_position=last["market_position"],
        prev_market_position=before,
        last_signal_id=last["signal_id"],
        last_received_at=last["received_at"],
        came_late=swapped and position_before == before,
        may_be_late=swapped and position_before == _UNKNOWN,
    )


def _are_swapped(signal: Signal, last: aws.Item, at: datetime) -> bool:
    """Returns whether an exit may be the first half of a reversal whose entry was the last alert."""
    closes = signal.action in (Action.CLOSE, Action.STOP) or signal.market_position == "flat"
    follows = signal.market_position is not None and signal.market_position == last.get(
        "prev_market_position"
    )
    return closes and follows and at - datetime.fromisoformat(last["received_at"]) <= _SWAPPED_WITHIN


def gap_event(signal: Signal, missed: AlertGap, signal_id: str, user_id: str, at: datetime) -> Event:
    """Returns the event `signal.missed`."""
    assert signal.symbol is not None
    payload = {
        "signal_id": signal_id,
        "symbol": signal.symbol.name,
        "group_name": signal.group_name,
        "market_position": signal.market_position,
        **missed.model_dump(exclude={"came_late", "may_be_late"}),
    }
    return Event(
        event_id=event_id("signal.missed", signal_id),
        type="signal.missed",
        payload=payload,
        entity=f"signal#{signal_id}",
        user_id=user_id,
        created_at=at,
    )
