"""Placing an entry's take-profit and stop-loss at a real exchange, once it has traded."""

from collections.abc import Mapping
from decimal import Decimal

from chalicelib.errors import NotDoable, Refused
from chalicelib.exchanges.line import Line
from chalicelib.exchanges.protocol import OrderRequest, OrderStatus
from chalicelib.exchanges.wire import text
from chalicelib.orders import exits, ledger
from chalicelib.orders.models import CLOSE_INCOMPLETE, Order
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
    placed: list[str] = []
    try:
        for group in _groups(wanted, pairs=line.pairs_at_once):
            if len(group) > 1:
                sender.place_pair(*group)
            else:
                sender.place(*group[0])
            placed += [leg for leg, _ in group]
    except Refused as refusal:
        log.warning("exit not placed", extra={"order_id": entry.order_id, "code": refusal.code})
        stops = [leg for leg in wanted if ".sl" in leg]
        missing = "stop_loss" if set(stops) - set(placed) else "take_profit"
        gone = refusal.code == "exchange_nothing_to_reduce"
        ledger.protected(entry, failed=refusal, missing=missing, again=not (placed or gone) and entry.exit_round + 1 < exits.ROUNDS)
    else:
        left = sum((each.quantity - each.filled for each in sender.placed if each.leg in wanted and _fell_short(each)), Decimal(0))
        if left and entry.exit_round + 1 >= exits.ROUNDS:
            missing = "take_profit" if entry.stop_loss is None else "stop_loss"
            values = {"symbol": entry.symbol, "closed": text(entry.unprotected - left), "left": text(left)}
            ledger.protected(entry, failed=NotDoable(CLOSE_INCOMPLETE, **values), missing=missing)
        else:
            ledger.protected(entry, left=left)


def _fell_short(order: Order) -> bool:
    """An exit at market that has ended without taking everything away."""
    return order.status is OrderStatus.CANCELLED and order.filled < order.quantity


def _groups(wanted: Mapping[str, OrderRequest], *, pairs: bool) -> list[list[tuple[str, OrderRequest]]]:
    """What goes in one call: each order by itself, or the stop-loss with its take-profit."""
    found: dict[str, list[tuple[str, OrderRequest]]] = {}
    for leg, request in wanted.items():
        found.setdefault((request.pair if pairs else None) or leg, []).append((leg, request))
    return list(found.values())
