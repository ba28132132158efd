"""Checks a signal's age at acceptance.

Closing signals have no maximum age. Other signals must be neither too old nor dated in the future.
"""

from datetime import datetime, timedelta

from chalicelib.errors import Refused
from chalicelib.orders import age
from chalicelib.signals import plan as plans
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import closing
from chalicelib.signals.reading.fields import Fields
from chalicelib.signals.source import SignalSource
from chalicelib.trading import Action

_MOST_AHEAD = timedelta(seconds=60)


def is_closing(signal: Signal, fields: Fields) -> bool:
    """Returns whether a signal closes: `close`, `exit`, `stop`, a cancel, or an order that leads to flat.

    For paper, `close` is a sale.
    """
    return signal.action is Action.CANCEL_ALL or closing.is_closing(signal.variant, fields)


def check_age(
    signal: Signal, plan: plans.Plan, received_at: datetime, sender: SignalSource, *, closes: bool
) -> None:
    """Refuses a signal that is too old to open anything, or dated in the future.

    Signals that close, reduce or cancel never become stale. On futures an order may turn out to reduce, so
    execution decides.

    Raises:
        NotDoable: `stale`.
        Refused: `invalid_time`: with such a wrong clock, the signal's age is unknown.
    """
    if not closes and signal.sent_at and signal.sent_at > received_at + _MOST_AHEAD:
        raise Refused("invalid_time", field="timestamp")
    if plans.only_opens(signal, plan.market_type):
        age.check(signal.sent_at, received_at, received_at, plans.max_age_s(signal, sender))
