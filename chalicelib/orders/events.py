"""Events of orders, of positions and of refused signals."""

from datetime import datetime
from decimal import Decimal

from chalicelib.accounts.model import Account
from chalicelib.errors import Refused
from chalicelib.events.models import Event, event_id
from chalicelib.exchanges.wire import rounded
from chalicelib.orders.models import AccountResult, Instruction, Order
from chalicelib.trading import MarketType

_SHOWN = (
    *(
        "signal_id",
        "account_id",
        "number",
        "exchange",
        "market_type",
        "symbol",
        "side",
        "order_type",
        "status",
        "quantity",
        "filled",
    ),
    *(
        "price",
        "stop_price",
        "average_price",
        "value",
        "fee",
        "fee_currency",
        "realized_profit",
        "group_name",
        "code",
        "values",
        "exit_of",
    ),
)


def order_event(order: Order) -> Event:
    """Returns the event of an order's status, such as `order.opened`, `order.filled` or `order.unknown`.

    The others are `order.partially_filled`, `order.cancelled` and `order.rejected`.
    """
    type_ = "order.opened" if order.status == "open" else f"order.{order.status.value}"
    return Event(
        event_id=event_id(type_, order.order_id, str(order.version)),
        type=type_,
        payload={
            "order_id": order.order_id,
            "version": order.version,
            **{name: getattr(order, name) for name in _SHOWN},
        },
        entity=order.entity,
        user_id=order.user_id,
        created_at=order.updated_at,
    )


def position_event(
    account: Account,
    market_type: MarketType,
    symbol: str,
    quantity: Decimal,
    average_price: Decimal | None,
    *,
    version: int,
    at: datetime,
    position_side: str | None = None,
    margin_mode: str | None = None,
) -> Event:
    """Returns `position.changed` for a changed futures position or holding. A holding is named by its asset.

    Args:
        quantity: Current size, base units. Negative if short.
        average_price: Quote per base. None for a flat position and if unknown.
        version: Version of the records that hold the position. Grows with each event.
        position_side: The side in hedge mode. None in one-way mode.
        margin_mode: Distinguishes positions of one instrument. None if there can be only one.
    """
    apart = [word for word in (position_side, margin_mode) if word]
    entity = "#".join([f"position#{account.account_id}#{market_type.value}#{symbol}", *apart])
    names = {
        "account_id": account.account_id,
        "exchange": account.exchange,
        "market_type": market_type,
        "symbol": symbol,
    }
    return Event(
        event_id=event_id("position.changed", entity, str(version)),
        type="position.changed",
        payload=names
        | {
            "version": version,
            "position_side": position_side,
            "quantity": quantity,
            "average_price": None if average_price is None else rounded(average_price),
        },
        entity=entity,
        user_id=account.user_id,
        created_at=at,
    )


def protection_failed_event(order: Order, refusal: Refused, missing: str, *, again: bool) -> Event:
    """Returns `order.protection_failed`: a position is open without its take-profit or stop-loss."""
    why = {
        "missing": missing,
        "again": again,
        "code": refusal.code,
        "values": {name: str(value) for name, value in refusal.values.items()},
        missing: order.exit_price(missing),
    }
    return Event(
        event_id=event_id("order.protection_failed", order.order_id, str(order.version)),
        type="order.protection_failed",
        payload={
            "order_id": order.order_id,
            "version": order.version,
            **{name: getattr(order, name) for name in _SHOWN},
            **why,
        },
        entity=order.entity,
        user_id=order.user_id,
        created_at=order.updated_at,
    )


def refusal_event(instruction: Instruction, execution: AccountResult) -> Event:
    """Returns `signal.refused`: the signal was not or not completely executed on this account."""
    payload = {
        "signal_id": execution.signal_id,
        "request_id": None,
        "webhook": None,
        "account_id": execution.account_id,
        "account_name": execution.account_name,
        "exchange": execution.exchange,
        "symbol": instruction.symbol.name if instruction.symbol else None,
        "action": instruction.action.value,
        "code": execution.refused[0].code,
        "status": execution.refused[0].status,
        "field": None if (field := execution.refused[0].values.get("field")) is None else str(field),
        "count": 1,
        "refused": [
            leg.model_dump() | {"values": {name: str(value) for name, value in leg.values.items()}}
            for leg in execution.refused
        ],
    }
    return Event(
        event_id=event_id("signal.refused", execution.signal_id, execution.account_id),
        type="signal.refused",
        payload=payload,
        entity=f"signal#{execution.signal_id}",
        user_id=instruction.user_id,
        created_at=execution.settled_at,
    )
