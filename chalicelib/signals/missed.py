"""Alerts that never arrived.

Each alert of a TradingView strategy says which position its order makes out of which (`market_position`, `prev_market_position`); where
the one before made another, an alert between them is missing.

The position of a scope is the one that its last accepted alert named: a refused alert counts as missed too, because the strategy went
on without us. The order is that of arrival.
"""

from datetime import datetime, timedelta

from chalicelib import aws
from chalicelib.events.models import Event, event_id
from chalicelib.signals.models import Signal
from chalicelib.trading import Frozen

_KEPT = timedelta(days=90)


class Missed(Frozen):
    """What an alert tells of the one that is missing before it.

    Attributes:
        known_position: What the last alert made of the position: `long`, `short` or `flat`.
        prev_market_position: What this alert says that it was before it.
        last_signal_id: The last alert, received at `last_received_at`, ISO 8601 in UTC.
    """

    known_position: str
    prev_market_position: str
    last_signal_id: str
    last_received_at: str


def position_write(signal: Signal, scope: str, signal_id: str, at: datetime, missed: Missed | None) -> aws.Write:
    """The write of a scope's position; refused, with the item as it stands, where an alert is missing that `missed` does not tell of."""
    item = {
        "key": f"position#{scope}",
        "market_position": signal.market_position,
        "signal_id": signal_id,
        "received_at": at.isoformat(),
        "forget_at": int((at + _KEPT).timestamp()),
    }
    if missed:
        return aws.put("idempotency", item, "signal_id = :last", last=missed.last_signal_id)
    if signal.prev_market_position is None:
        return aws.put("idempotency", item)
    condition = "attribute_not_exists(signal_id) OR market_position = :before"
    return aws.put("idempotency", item, condition, before=signal.prev_market_position)


def of(signal: Signal, last: aws.Item) -> Missed | None:
    """What follows from a scope's position, which is empty if there is none; None if nothing is missing."""
    before = signal.prev_market_position
    if before is None or before == last.get("market_position", before):
        return None
    return Missed(
        known_position=last["market_position"],
        prev_market_position=before,
        last_signal_id=last["signal_id"],
        last_received_at=last["received_at"],
    )


def event(signal: Signal, missed: Missed, signal_id: str, user_id: str, at: datetime) -> Event:
    """Tells of it: `signal.missed`."""
    assert signal.symbol is not None
    payload = {
        "signal_id": signal_id,
        "symbol": signal.symbol.name,
        "group_name": signal.group_name,
        "market_position": signal.market_position,
        **missed.model_dump(),
    }
    return Event(
        event_id=event_id("signal.missed", signal_id),
        type="signal.missed",
        payload=payload,
        entity=f"signal#{signal_id}",
        user_id=user_id,
        created_at=at,
    )
