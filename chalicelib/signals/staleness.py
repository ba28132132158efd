"""What a signal's age means at acceptance.

Closing signals have none, all others must be neither old nor of the future.
"""

from datetime import datetime, timedelta

from chalicelib.errors import Refused
from chalicelib.orders import age
from chalicelib.signals import closing
from chalicelib.signals import plan as plans
from chalicelib.signals.fields import Fields
from chalicelib.signals.models import Signal
from chalicelib.signals.source import SignalSource
from chalicelib.trading import Action

_MOST_AHEAD = timedelta(seconds=60)


def is_closing(signal: Signal, fields: Fields) -> bool:
    """Whether it is a closing signal: `close`, `exit`, `stop`, a cancel, or an order that leads to flat.

    Paper's `close` is a sale.
    """
    return signal.action is Action.CANCEL_ALL or closing.is_closing(signal.variant, fields)


def check_age(
    signal: Signal, plan: plans.Plan, received_at: datetime, sender: SignalSource, *, closes: bool
) -> None:
    """Refuses a signal that is too old to open anything, or of the future.

    Closing, reducing and cancelling never go stale.

    On futures an order may turn out to reduce, so execution decides whether it is too old.

    Raises:
        NotDoable: `stale`.
        Refused: `invalid_time`: a clock that is so wrong says nothing about the signal's age.
    """
    if not closes and signal.sent_at and signal.sent_at > received_at + _MOST_AHEAD:
        raise Refused("invalid_time", field="timestamp")
    if plans.only_opens(signal, plan.market_type):
        age.check(signal.sent_at, received_at, received_at, plans.max_age_s(signal, sender))
