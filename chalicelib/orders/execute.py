"""Executing one signal on one account.

The message may come any number of times and the process may die anywhere: the ledger's conditional write lets exactly one
attempt settle. On the paper exchange the order, its effect on cash and holdings, and its event are one transaction.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chalicelib import aws
from chalicelib.errors import Forbidden, Misconfigured, NotDoable, NotFound, Refused, Retryable
from chalicelib.events.models import Event, event_id
from chalicelib.exchanges import paper
from chalicelib.exchanges.accounts import Account
from chalicelib.exchanges.protocol import OrderStatus, Side
from chalicelib.orders import store
from chalicelib.orders.models import Execution, Instruction, Order, client_order_id
from chalicelib.signals.models import Action, OrderType, Symbol
from chalicelib.telemetry import log


def execute(instruction: Instruction) -> None:
    """Executes an instruction once; a repeat of one that has settled does nothing.

    Raises:
        Retryable: Somebody else changed the account's books meanwhile; nothing was written.
    """
    now = datetime.now(UTC)
    settled, account_item, profile, *controls = aws.get_many(
        [
            ("orders", {"signal_id": instruction.signal_id, "leg": instruction.account_id}),
            ("accounts", {"account_id": instruction.account_id}),
            ("users", {"user_id": instruction.user_id, "part": "profile"}),
            *(("controls", {"scope": scope}) for scope in _scopes(instruction)),
        ]
    )
    if settled:
        log.info("already settled", extra=_who(instruction))
        return
    if account_item is None:
        raise Misconfigured(f"account {instruction.account_id} has no record")
    account = Account.model_validate(account_item)
    try:
        _check_permitted(instruction, account, profile, controls, now)
        execution, effects = _trade(instruction, account, now)
    except Refused as refused:
        execution, effects = _refusal(instruction, account, refused, now), []
    _settle(instruction, execution, effects)


def _trade(instruction: Instruction, account: Account, now: datetime) -> tuple[Execution, Sequence[aws.Write]]:
    """Runs the instruction on the paper exchange."""
    symbol, quantity, price = instruction.symbol, instruction.quantity, instruction.price
    if symbol is None or quantity is None or price is None:
        raise NotDoable("no_price")
    book = paper.read(account)
    side = Side.BUY if instruction.action is Action.BUY else Side.SELL
    fill = book.take(symbol, side, quantity, price)
    order = Order(
        signal_id=instruction.signal_id,
        account_id=account.account_id,
        user_id=account.user_id,
        leg=0,
        number=book.orders,
        client_order_id=client_order_id(instruction.signal_id, account.account_id, 0),
        exchange=account.exchange,
        symbol=symbol.name,
        side=side,
        order_type=OrderType.MARKET,
        status=OrderStatus.FILLED if fill.quantity == quantity else OrderStatus.PARTIALLY_FILLED,
        quantity=quantity,
        filled=fill.quantity,
        price=price,
        average_price=fill.price,
        value=fill.value,
        fee=fill.commission,
        fee_currency=_fee_currency(symbol, account),
        created_at=now,
    )
    detail = {
        "slippage": fill.slippage,
        "commission": fill.commission,
        "fill_rate": account.fill_rate,
        "total_cost": fill.total,
    }
    return _execution(instruction, account, now, orders=(order,), detail=detail), book.effects()


def _settle(instruction: Instruction, execution: Execution, effects: Sequence[aws.Write]) -> None:
    events = [_order_event(order) for order in execution.orders] or [_refused_event(instruction, execution)]
    try:
        store.settle(execution, alone=instruction.alone, effects=effects, events=events)
    except aws.WriteRefused:
        if not store.settled(instruction.signal_id, instruction.account_id):
            raise Retryable("the account's books changed while the order ran") from None
        log.info("already settled", extra=_who(instruction))
        return
    log.info("signal settled", extra=_who(instruction) | {"code": execution.code, "orders": len(execution.orders)})


def _check_permitted(
    instruction: Instruction, account: Account, profile: aws.Item | None, controls: Sequence[aws.Item | None], now: datetime
) -> None:
    """What permitted the signal at acceptance must still hold when its order goes out."""
    if profile is None or not profile.get("is_active", True):
        raise Forbidden("user_not_active")
    if not account.is_active:
        raise NotFound("account_not_found", account=account.name)
    opens = instruction.action in (Action.BUY, Action.LONG)
    if opens and any(control and control.get("halted") for control in controls):
        raise Forbidden("halted")
    age = now - instruction.age_from
    if opens and age > timedelta(seconds=instruction.max_age_s):
        raise NotDoable("stale", age=int(age.total_seconds()), limit=instruction.max_age_s)


def _refusal(instruction: Instruction, account: Account, refused: Refused, now: datetime) -> Execution:
    return _execution(instruction, account, now).model_copy(
        update={"code": refused.code, "values": refused.values, "status": refused.status}
    )


def _execution(
    instruction: Instruction, account: Account, now: datetime, orders: tuple[Order, ...] = (), detail: dict[str, Decimal] | None = None
) -> Execution:
    return Execution(
        signal_id=instruction.signal_id,
        account_id=account.account_id,
        account_name=account.name,
        exchange=account.exchange,
        orders=orders,
        detail=detail or {},
        settled_at=now,
    )


def _order_event(order: Order) -> Event:
    type_ = f"order.{order.status.value}"
    payload = {
        "order_id": order.order_id,
        "signal_id": order.signal_id,
        "account_id": order.account_id,
        "number": order.number,
        "exchange": order.exchange,
        "symbol": order.symbol,
        "side": order.side.value,
        "order_type": order.order_type.value,
        "status": order.status.value,
        "quantity": order.quantity,
        "filled": order.filled,
        "average_price": order.average_price,
        "value": order.value,
        "fee": order.fee,
        "fee_currency": order.fee_currency,
    }
    return Event(
        event_id=event_id(type_, order.order_id, str(order.version)),
        type=type_,
        payload=payload,
        entity=order.entity,
        user_id=order.user_id,
        created_at=order.created_at,
    )


def _refused_event(instruction: Instruction, execution: Execution) -> Event:
    payload = {
        "signal_id": execution.signal_id,
        "account_id": execution.account_id,
        "exchange": execution.exchange,
        "symbol": instruction.symbol.name if instruction.symbol else None,
        "action": instruction.action.value,
        "code": execution.code,
        "values": {name: str(value) for name, value in execution.values.items()},
    }
    return Event(
        event_id=event_id("signal.refused", execution.signal_id, execution.account_id),
        type="signal.refused",
        payload=payload,
        entity=f"signal#{execution.signal_id}",
        user_id=instruction.user_id,
        created_at=execution.settled_at,
    )


def _fee_currency(symbol: Symbol, account: Account) -> str:
    return symbol.quote or account.currency


def _scopes(instruction: Instruction) -> tuple[str, ...]:
    return ("global", f"user#{instruction.user_id}", f"account#{instruction.account_id}")


def _who(instruction: Instruction) -> dict[str, str]:
    return {"signal_id": instruction.signal_id, "account_id": instruction.account_id, "user_id": instruction.user_id}
