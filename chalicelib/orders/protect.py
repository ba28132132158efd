"""Placing an entry's take-profit and stop-loss at a real exchange, once it has traded."""

from chalicelib.errors import Refused
from chalicelib.exchanges.line import Line
from chalicelib.orders import exits, ledger
from chalicelib.orders.models import Order
from chalicelib.orders.sender import Sender
from chalicelib.telemetry import log


def protect(entry: Order, line: Line, sender: Sender) -> None:
    """Places what leaves the filled part of an order: the stop-loss first, the take-profit beside it. What is refused is told by an event.

    Raises:
        Retryable: Nothing certain could be done in the time there is. The order stays with the follow-up until it is protected.
    """
    sender.write()
    instrument = line.instrument(entry.symbol)
    wanted = exits.requests(entry, instrument, line.last_price(instrument))
    known = ledger.read(entry.signal_id, entry.account_id, list(wanted))
    sender.known.orders |= known.orders
    sender.known.count = known.count
    placed = 0
    try:
        if len(wanted) > 1 and line.pairs_at_once:
            sender.place_pair(*wanted.items())
        else:
            for leg, request in wanted.items():
                sender.place(leg, request)
                placed += 1
    except Refused as refusal:
        log.warning("exit not placed", extra={"order_id": entry.order_id, "code": refusal.code})
        missing = "take_profit" if placed or entry.stop_loss is None else "stop_loss"
        gone = refusal.code == "exchange_nothing_to_reduce"
        ledger.protected(entry, failed=refusal, missing=missing, again=not (placed or gone) and entry.exit_round + 1 < exits.ROUNDS)
    else:
        ledger.protected(entry)
