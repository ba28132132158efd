"""Places an entry's take-profit and stop-loss at an exchange, once the entry has traded."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from chalicelib.errors import NotDoable, Refused, Retryable
from chalicelib.exchanges.protocol import OrderRequest, OrderStatus
from chalicelib.exchanges.session import ExchangeSession
from chalicelib.exchanges.wire import text
from chalicelib.execution import protective_orders
from chalicelib.execution.submit_order import OrderSubmitter
from chalicelib.orders import in_flight
from chalicelib.orders.models import CLOSE_INCOMPLETE, Order
from chalicelib.telemetry import log


def place_protection(entry: Order, session: ExchangeSession, submitter: OrderSubmitter) -> None:
    """Places the exits of an order's filled part: the stop-loss first, then the take-profit.

    Emits `order.protection_failed` for a refused exit and for an exit of unknown outcome.

    Raises:
        Retryable: The outcome is not certain yet. The order is reconciled until it is protected.
    """
    submitter.write()
    instrument = session.instrument(entry.symbol)
    wanted = protective_orders.exit_orders(entry, instrument, session.last_price(instrument))
    existing_orders = in_flight.read_existing(entry.signal_id, entry.account_id, list(wanted))
    submitter.existing_orders.orders |= existing_orders.orders
    submitter.existing_orders.count = existing_orders.count
    placed: list[str] = []
    try:
        for group in _groups(wanted, pairs=session.native_oco):
            if len(group) > 1:
                submitter.place_oco(*group)
            else:
                submitter.place(*group[0])
            placed += [leg for leg, _ in group]
    except Refused as refusal:
        log.warning("exit placement failed", extra={"order_id": entry.order_id, "code": refusal.code})
        gone = refusal.code == "exchange_nothing_to_reduce"
        doubtful = _first_uncertain_leg(wanted, submitter)
        again = not (placed or gone) and entry.exit_round + 1 < protective_orders.ROUNDS
        changed = in_flight.mark_protected(
            entry, failed=refusal, missing=_first_missing(wanted, placed), again=again
        )
        if doubtful is not None:
            in_flight.warn_unprotected(changed, _unknown_outcome(entry), _kind(doubtful))
    except Retryable:
        in_flight.warn_unprotected(entry, _unknown_outcome(entry), _first_missing(wanted, placed))
        raise
    else:
        _record(entry, wanted, submitter)


def _record(entry: Order, wanted: Mapping[str, OrderRequest], submitter: OrderSubmitter) -> None:
    """Records the result of exits that the exchange has taken."""
    doubtful = _first_uncertain_leg(wanted, submitter)
    left = sum(
        (
            each.quantity - each.filled
            for each in submitter.placed
            if each.leg in wanted and _is_short_fill(each)
        ),
        Decimal(0),
    )
    if doubtful is not None:
        # An exit of unknown outcome is looked up each minute. If it is absent, the exits are placed again.
        in_flight.mark_protected(
            entry, failed=_unknown_outcome(entry), missing=_kind(doubtful), left=left, looked_up=True
        )
    elif left and entry.exit_round + 1 >= protective_orders.ROUNDS:
        missing = "take_profit" if entry.stop_loss is None else "stop_loss"
        values = {"symbol": entry.symbol, "closed": text(entry.unprotected - left), "left": text(left)}
        in_flight.mark_protected(entry, failed=NotDoable(CLOSE_INCOMPLETE, **values), missing=missing)
    else:
        in_flight.mark_protected(entry, left=left)


def _first_uncertain_leg(legs: Iterable[str], submitter: OrderSubmitter) -> str | None:
    """Returns the first leg whose order has an unknown outcome. None if there is none."""
    uncertain = {order.leg for order in submitter.placed if order.status is OrderStatus.UNKNOWN}
    return next((leg for leg in legs if leg in uncertain), None)


def _first_missing(wanted: Iterable[str], placed: Sequence[str]) -> str:
    """Returns `stop_loss` if a part of the stop-loss is not placed, else `take_profit`."""
    return (
        "stop_loss"
        if any(_kind(leg) == "stop_loss" and leg not in placed for leg in wanted)
        else "take_profit"
    )


def _kind(leg: str) -> str:
    return "stop_loss" if ".sl" in leg else "take_profit"


def _unknown_outcome(entry: Order) -> NotDoable:
    return NotDoable("exchange_outcome_unknown", exchange=entry.exchange)


def _is_short_fill(order: Order) -> bool:
    """Returns whether an exit at market ended without filling completely."""
    return order.status is OrderStatus.CANCELLED and order.filled < order.quantity


def _groups(wanted: Mapping[str, OrderRequest], *, pairs: bool) -> list[list[tuple[str, OrderRequest]]]:
    """Returns the orders of each call: one order, or with `pairs` the stop-loss and its take-profit."""
    found: dict[str, list[tuple[str, OrderRequest]]] = {}
    for leg, request in wanted.items():
        found.setdefault((request.oco_group if pairs else None) or leg, []).append((leg, request))
    return list(found.values())
