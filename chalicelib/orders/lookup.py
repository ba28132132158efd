"""What an exchange knows of an order that the ledger does not know the end of."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.errors import Refused, Retryable
from chalicelib.exchanges.line import Line
from chalicelib.exchanges.protocol import Instrument, OrderState
from chalicelib.orders import ledger
from chalicelib.orders.entries import Entries
from chalicelib.orders.models import Order


def settle(order: Order, line: Line, refusal: Refused, entries: Entries) -> Order:
    """Looks a claimed or unknown order up, without ever sending it.

    Args:
        refusal: Why it was not placed, if it is absent for certain.
        entries: Where it is booked if it has ended.
    """
    instrument = line.instrument(order.symbol)
    try:
        found = line.find(order.client_order_id, instrument, trigger=order.stop_price is not None)
    except Retryable:
        return ledger.unknown(order)
    if found is not None:
        return ledger.record(order, found, booking(entries, instrument, order, found), **fees(line, found, instrument))
    assert order.sent_at is not None
    if datetime.now(UTC) - order.sent_at < timedelta(seconds=line.late_arrival_s):
        return ledger.unknown(order)
    return ledger.reject(order, refusal)


def booking(entries: Entries, instrument: Instrument, order: Order, found: OrderState | None, *, fees_final: bool = False) -> ledger.Book:
    """Books an order that was looked up, some time after it was sent.

    Args:
        found: As the exchange has it; None where only its fee was looked up.
        fees_final: A fee that is not known now never will be.
    """
    traded_at = (found.updated_at if found else None) or order.created_at
    return lambda changed: entries.booked(changed, instrument, traded_at=traded_at, fees_final=fees_final)


def state_of(order: Order) -> OrderState:
    """An order of the ledger as the adapter takes it."""
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


def fees(line: Line, state: OrderState, instrument: Instrument) -> dict[str, Any]:
    """The fee of an ended order from its trades, where its state does not tell; nothing while the exchange does not show them."""
    if not state.status.final or not state.filled or state.fee is not None:
        return {}
    try:
        fills = line.run(lambda exchange: exchange.fills(state, instrument))
    except (Retryable, Refused):
        return {}
    if sum((fill.quantity for fill in fills), Decimal(0)) != state.filled:
        return {}
    # A fee taken in several currencies (a discount token that ran out) is told in none.
    currencies = {fill.fee_currency for fill in fills if fill.fee}
    if len(currencies) > 1:
        return {"fee_currency": ledger.SEVERAL}
    return {"fee": sum((fill.fee or Decimal(0) for fill in fills), Decimal(0)), "fee_currency": next(iter(currencies), instrument.quote)}
