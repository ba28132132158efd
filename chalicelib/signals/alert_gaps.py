"""Alerts that never arrived.

Each alert of a TradingView strategy says which position its order makes out of which (`market_position`,
`prev_market_position`); where the one before made another, an alert between them is missing.

The two alerts of one reversal may arrive swapped, the entry before the exit. The exit then does nothing: it
would close the new position.

The position of a scope is the one that its last accepted alert named: a refused alert counts as missed too,
because the strategy went on without us. The order is that of arrival.
"""

from datetime import datetime, timedelta

from chalicelib import aws
from chalicelib.events.models import Event, event_id
from chalicelib.signals.models import Signal
from chalicelib.trading import Action, Frozen

_KEPT = timedelta(days=90)

_SWAPPED_WITHIN = timedelta(seconds=60)
"""How far apart the two alerts of one reversal may arrive.

TradingView sends both at once, and each up to four times 5 s apart.
"""

_UNKNOWN = "unknown"
"""A position that no alert has named."""


class AlertGap(Frozen):
    """What an alert tells of the one that is missing before it.

    Attributes:
        known_position: What the last alert made of the position: `long`, `short` or `flat`.
        prev_market_position: What this alert says that it was before it.
        last_signal_id: The last alert, received at `last_received_at`, ISO 8601 in UTC.
        came_late: Nothing is missing. The last alert is the entry of a reversal, this one the exit that
            should have come before it.
        may_be_late: The same, but no alert has named the position before the entry. Execution knows whether
            the entry closed it.
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
    """The write of a scope's position.

    Refused, with the item as it stands, where an alert is missing that `missed` does not tell of.
    """
    key = {"key": f"position#{scope}"}
    if missed and missed.came_late:  # the position stays what the entry made of it
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
        "SET position_before = if_not_exists(market_position, :unknown), market_position = :position, prev_market_position = :before, "
        "signal_id = :signal_id, received_at = :at, forget_at = :forget_at",
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
    """What follows from a scope's position, which is empty if there is none; None if nothing is missing.

    Args:
        signal: The alert.
        last: The stored position.
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
    """Whether an exit looks like the first half of a reversal whose second half, the entry, was the last alert."""
    closes = signal.action in (Action.CLOSE, Action.STOP) or signal.market_position == "flat"
    follows = signal.market_position is not None and signal.market_position == last.get(
        "prev_market_position"
    )
    return closes and follows and at - datetime.fromisoformat(last["received_at"]) <= _SWAPPED_WITHIN


def gap_event(signal: Signal, missed: AlertGap, signal_id: str, user_id: str, at: datetime) -> Event:
    """Tells of it: `signal.missed`."""
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
