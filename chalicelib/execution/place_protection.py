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

_NOTHING_LEFT = "exchange_nothing_to_reduce"


def place_protection(entry: Order, session: ExchangeSession, submitter: OrderSubmitter) -> None:
    """Places the exits of an order's filled part: the stop-losses first, then the take-profits.

    A refused stop-loss keeps its share's take-profit away and no other share's exits. Emits
    `order.protection_failed` for a refused exit and for an exit of unknown outcome.

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
        refusal = _place_all(_groups(wanted, pairs=session.native_oco), submitter, placed)
    except Retryable:
        in_flight.warn_unprotected(entry, _unknown_outcome(entry), _first_missing(wanted, placed))
        raise
    if refusal is None:
        _record(entry, wanted, submitter)
    else:
        _record_refusal(entry, wanted, placed, refusal, submitter)


def _place_all(
    groups: Sequence[Sequence[tuple[str, OrderRequest]]], submitter: OrderSubmitter, placed: list[str]
) -> Refused | None:
    """Places exits group by group. Returns the first refusal.

    Args:
        placed: Receives the legs of the orders that the exchange has taken.
    """
    first: Refused | None = None
    refused_groups: set[str | None] = set()
    for group in groups:
        oco_group = group[0][1].oco_group
        if oco_group in refused_groups:
            continue
        try:
            if len(group) > 1:
                submitter.place_oco(group[0], group[1])
            else:
                submitter.place(*group[0])
        except Refused as refusal:
            log.warning("exit placement failed", extra={"leg": group[0][0], "code": refusal.code})
            first = first or refusal
            refused_groups.add(oco_group)
            if refusal.code == _NOTHING_LEFT:
                break
        else:
            placed += [leg for leg, _ in group]
    return first


def _record_refusal(
    entry: Order,
    wanted: Mapping[str, OrderRequest],
    placed: Sequence[str],
    refusal: Refused,
    submitter: OrderSubmitter,
) -> None:
    """Records that an exit was refused. What has no stop-loss is tried again in a minute."""
    gone = refusal.code == _NOTHING_LEFT
    retried = not gone and entry.exit_round + 1 < protective_orders.ROUNDS
    missing = _first_missing(wanted, placed)
    bare = sum(
        (each.quantity for leg, each in wanted.items() if leg not in placed and _kind(leg) == "stop_loss"),
        Decimal(0),
    )
    doubtful = _first_uncertain_leg(wanted, submitter)
    changed = in_flight.mark_protected(
        entry,
        failed=refusal,
        missing=missing,
        again=retried and not placed,
        left=bare if retried and placed else Decimal(0),
    )
    if doubtful is not None:
        in_flight.warn_unprotected(changed, _unknown_outcome(entry), _kind(doubtful))


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
        missing = "stop_loss" if entry.exits is not None and entry.exits.stops else "take_profit"
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
    """Returns the orders of each call: one order, or with `pairs` the stop-loss and its take-profit.

    Single orders are sorted: the stop-losses of all shares first.
    """
    found: dict[str, list[tuple[str, OrderRequest]]] = {}
    for leg, request in sorted(wanted.items(), key=lambda each: not pairs and _kind(each[0]) != "stop_loss"):
        found.setdefault((request.oco_group if pairs else None) or leg, []).append((leg, request))
    return list(found.values())
