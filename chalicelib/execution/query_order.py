"""Looks up orders at the exchange whose result the order store does not have."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.errors import Refused, Retryable
from chalicelib.exchanges.protocol import Instrument, OrderState, Side
from chalicelib.exchanges.session import ExchangeSession
from chalicelib.orders import in_flight
from chalicelib.orders.models import Order
from chalicelib.portfolio.cost_basis import OWNED, CostBasisBook
from chalicelib.trading import MarketType, PositionSide

_CLOCKS_DIFFER = timedelta(seconds=5)
# After 10 minutes other signals may have changed the position. Exchanges show an order's trades within
# seconds to a few minutes.
_POSITION_COUNTS_FOR = timedelta(minutes=10)


def resolve_order(
    order: Order, session: ExchangeSession, refusal: Refused, cost_basis: CostBasisBook
) -> Order:
    """Looks up a pending or unknown order and records the result. Never sends the order.

    Args:
        refusal: Why the order was not placed. Recorded if the order is certainly absent.
        cost_basis: Where fills of an ended order are booked.
    """
    instrument = session.instrument(order.symbol)
    assert order.sent_at is not None
    try:
        found = session.find(order.client_order_id, instrument, trigger=order.stop_price is not None)
        if found is None:
            if datetime.now(UTC) - order.sent_at < timedelta(seconds=session.late_arrival_s):
                return in_flight.mark_unknown(order)
            found = second_proof(order, session)
    except (Retryable, Refused):
        return in_flight.mark_unknown(order)
    if found is not None:
        return in_flight.record(
            order,
            found,
            cost_basis_booking(cost_basis, instrument, order, found),
            **order_fees(session, found, instrument),
        )
    return in_flight.reject(order, refusal, absent=True)


def second_proof(order: Order, session: ExchangeSession, traded: Decimal = Decimal(0)) -> OrderState | None:
    """Searches an order that its own query does not show, after the late-arrival bound.

    Returns None if the order is certainly absent.

    Args:
        traded: Base units by which the signal's other orders have changed the position since `order.basis`
            was read.

    Raises:
        Retryable: The outcome is uncertain: the exchange does not answer, or the order may explain a trade or
            a changed position.
        Refused: The exchange refuses the query.
    """
    instrument = session.instrument(order.symbol)
    found = session.find_by_traces(
        order_state(order), instrument, order.created_at - _CLOCKS_DIFFER, strict=True
    )
    young = datetime.now(UTC) - order.created_at < _POSITION_COUNTS_FOR
    if (
        found is None
        and young
        and not order.reduce_only
        and _position_moved(order, session, instrument, traded)
    ):
        raise Retryable("position changed since the order was sent")
    return found


def _position_moved(order: Order, session: ExchangeSession, instrument: Instrument, traded: Decimal) -> bool:
    """Returns whether position or holdings have changed in the order's direction.

    False if their earlier size is unknown.
    """
    before = order.basis.get(OWNED)
    if before is None:
        return False
    buys = order.side is Side.BUY
    if order.market_type is MarketType.SPOT:
        now = session.free_and_total().get(instrument.base, (Decimal(0), Decimal(0)))[1]
    else:
        side = None if not order.hedged else PositionSide.LONG if buys else PositionSide.SHORT
        now = session.positions(side).get(instrument.name, Decimal(0))
    moved = now - before - traded
    return (moved if buys else -moved) >= instrument.quantity_step


def cost_basis_booking(
    cost_basis: CostBasisBook,
    instrument: Instrument,
    order: Order,
    found: OrderState | None,
    *,
    fees_final: bool = False,
) -> in_flight.Book:
    """Returns the booking of an order that was looked up some time after it was sent.

    Args:
        found: The exchange's state of the order. None if only the fee was looked up.
        fees_final: Whether a fee that is unknown now stays unknown.
    """
    traded_at = (found.updated_at if found else None) or order.created_at
    return lambda changed: cost_basis.booked(changed, instrument, traded_at=traded_at, fees_final=fees_final)


def order_state(order: Order) -> OrderState:
    """Returns an order of the order store in the adapter's format."""
    return OrderState(
        client_order_id=order.client_order_id,
        exchange_order_id=order.exchange_order_id,
        status=order.status,
        instrument_name=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        filled=order.filled,
        average_price=order.average_price,
        price=order.price,
        stop_price=order.stop_price,
        fee=order.fee,
        fee_currency=order.fee_currency,
        trigger=order.stop_price is not None,
        updated_at=order.sent_at,
    )


def order_fees(session: ExchangeSession, state: OrderState, instrument: Instrument) -> dict[str, Any]:
    """Returns the fee of an ended order from its trades, if its state does not contain one.

    Empty until the exchange shows all trades.
    """
    if not state.status.final or not state.filled or state.fee is not None:
        return {}
    try:
        fills = session.run(lambda exchange: exchange.fills(state, instrument))
    except (Retryable, Refused):
        return {}
    if sum((fill.quantity for fill in fills), Decimal(0)) != state.filled:
        return {}
    # A fee in several currencies (a discount token that ran out) has no single currency.
    currencies = {fill.fee_currency for fill in fills if fill.fee}
    if len(currencies) > 1:
        return {"fee_currency": in_flight.SEVERAL}
    return {
        "fee": sum((fill.fee or Decimal(0) for fill in fills), Decimal(0)),
        "fee_currency": next(iter(currencies), instrument.quote),
    }
