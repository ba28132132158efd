"""Placing an entry's take-profit and stop-loss at a real exchange, once it has traded."""

from collections.abc import Sequence

from chalicelib.errors import NotDoable, Refused, Retryable
from chalicelib.exchanges.line import Line
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.orders import exits, ledger
from chalicelib.orders.models import Order
from chalicelib.orders.sender import Sender
from chalicelib.telemetry import log


def protect(entry: Order, line: Line, sender: Sender) -> None:
    """Places what leaves the filled part of an order: the stop-loss first, the take-profit beside it.

    Emits `order.protection_failed` for what is refused, and for what is not known to stand.

    Raises:
        Retryable: Nothing certain could be done in the time there is. The order stays with the follow-up until it is protected.
    """
    sender.write()
    instrument = line.instrument(entry.symbol)
    wanted = exits.requests(entry, instrument, line.last_price(instrument))
    known = ledger.read(entry.signal_id, entry.account_id, list(wanted))
    sender.known.orders |= known.orders
    sender.known.count = known.count
    legs = list(wanted)
    placed: list[str] = []
    try:
        if len(wanted) > 1 and line.pairs_at_once:
            sender.place_pair(*wanted.items())
        else:
            for leg, request in wanted.items():
                sender.place(leg, request)
                placed.append(leg)
    except Refused as refusal:
        log.warning("exit not placed", extra={"order_id": entry.order_id, "code": refusal.code})
        gone = refusal.code == "exchange_nothing_to_reduce"
        doubtful = _doubtful(legs, sender)
        again = not (placed or gone) and entry.exit_round + 1 < exits.ROUNDS
        changed = ledger.protected(entry, failed=refusal, missing=_missing(entry, legs[len(placed)]), again=again)
        if doubtful is not None:
            ledger.warn_unprotected(changed, _unknown(entry), _missing(entry, doubtful))
    except Retryable:
        ledger.warn_unprotected(entry, _unknown(entry), _missing(entry, legs[len(placed)]))
        raise
    else:
        doubtful = _doubtful(legs, sender)
        # An exit of unknown outcome is looked up each minute. If it is absent, the exits are placed again.
        failed = None if doubtful is None else _unknown(entry)
        ledger.protected(entry, failed=failed, missing=_missing(entry, doubtful or legs[0]), looked_up=doubtful is not None)


def _doubtful(legs: Sequence[str], sender: Sender) -> str | None:
    """The first of these legs whose order is not known to stand, None if all stand."""
    uncertain = {order.leg for order in sender.placed if order.status is OrderStatus.UNKNOWN}
    return next((leg for leg in legs if leg in uncertain), None)


def _missing(entry: Order, leg: str) -> str:
    return "stop_loss" if leg.startswith(f"{entry.leg}.sl") else "take_profit"


def _unknown(entry: Order) -> NotDoable:
    return NotDoable("exchange_outcome_unknown", exchange=entry.exchange)
