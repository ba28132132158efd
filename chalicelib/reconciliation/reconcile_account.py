"""Reconciles an account: its unfinished orders until they have ended, and a snapshot of its positions.

Runs in the account's message group after earlier signals, so that an account has one caller at a time.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chalicelib import aws
from chalicelib.accounts.connections import Connections
from chalicelib.accounts.model import Account
from chalicelib.errors import NotDoable, Refused, Retryable
from chalicelib.exchanges.protocol import OrderStatus, Side
from chalicelib.exchanges.rate_limiter import Patience
from chalicelib.exchanges.session import ExchangeSession
from chalicelib.execution import key_check, query_order, queue_flatten
from chalicelib.execution.live import LiveExecution
from chalicelib.orders import in_flight
from chalicelib.orders.models import Instruction, Order, ReconcileAccount
from chalicelib.portfolio import snapshots
from chalicelib.portfolio.cost_basis import CostBasisBook, profits
from chalicelib.reconciliation import position_drift
from chalicelib.risk import state as risk_state
from chalicelib.telemetry import log
from chalicelib.trading import Action, MarketType, Symbol

_AGAIN = timedelta(seconds=55)
_REFUSED_AGAIN = timedelta(minutes=10)  # a revoked key may be replaced
_FEES_WITHIN = timedelta(hours=1)
_PATIENCE_S = 40.0
_EXITS_STAY_DUE_S = 86_400
_WATCHED_FOR = timedelta(hours=24)  # Binance and OKX have shown orders hours late after incidents
_WAITS = {OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED}


def reconcile_account(message: ReconcileAccount, seconds: float = _PATIENCE_S) -> int:
    """Reconciles the due orders and snapshot of an account. Returns the number of orders queried.

    Args:
        seconds: Longest wait for the exchange, seconds.
    """
    now = datetime.now(UTC)
    item = aws.get_many([("accounts", {"account_id": message.account_id})])[0]
    orders = in_flight.unfinished(message.account_id, due_by=now)
    own = in_flight.account_item(message.account_id)
    snapshot_due = own is not None and own.get("due_at", "~") <= now.isoformat()
    if item is None or not (orders or snapshot_due):
        return 0
    account = Account.model_validate(item)
    patience = Patience(seconds)
    try:
        sessions = Connections(account, patience)
    except Refused as refused:
        log.warning(
            "account reconciliation failed", extra={"account_id": account.account_id, "code": refused.code}
        )
        for order in orders:
            in_flight.schedule_order(order, now + _REFUSED_AGAIN)
        if "deleted_at" in item or not orders:
            snapshots.stop_snapshots(account.account_id)
        return 0
    booked = _query_orders(orders, account, patience, sessions, now)
    if snapshot_due or orders:
        _take_snapshot(account, sessions, own or {}, profits(booked), now)
    key_check.check(account, sessions, now)
    log.info("account reconciled", extra={"account_id": account.account_id, "orders": len(orders)})
    return len(orders)


def _query_orders(
    orders: Sequence[Order], account: Account, patience: Patience, sessions: Connections, now: datetime
) -> list[Order]:
    """Queries orders. Returns the orders that have been booked as a result."""
    waiting, booked = [], []
    for order in orders:
        cost_basis = CostBasisBook()
        try:
            after = _query_order(order, sessions.of(order.market_type), cost_basis, now)
            if after.booked and not order.booked:
                booked.append(after)
            if after.unprotected:
                client = _execution_client(account, after, patience, sessions)
                client.protect(after)
                booked += [exit_ for exit_ in client.placed if exit_.booked]
            elif after.exit_of is not None and after.status in _WAITS:
                waiting.append(after)
            elif after.is_stop_loss and after.status is OrderStatus.REJECTED:
                _cancel_bare_take_profits(after, account, patience, sessions)
        except (Refused, Retryable) as fault:
            log.warning(
                "order reconciliation failed, retrying",
                extra={"order_id": order.order_id, "fault": str(fault)},
            )
            in_flight.schedule_order(order, now + (_REFUSED_AGAIN if isinstance(fault, Refused) else _AGAIN))
    for order in waiting:
        _cancel_sibling_exit(order, account, patience, sessions)
    return booked


def _query_order(order: Order, session: ExchangeSession, cost_basis: CostBasisBook, now: datetime) -> Order:
    if order.status in {OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN}:
        after = query_order.resolve_order(order, session, NotDoable("exchange_never_arrived"), cost_basis)
        if after.status is OrderStatus.REJECTED and after.exit_of is not None:
            in_flight.mark_unprotected(after)
    elif order.written_off_at is not None:
        return _watch(order, order.written_off_at, session, cost_basis, now)
    elif order.status.final:
        return order if order.unprotected else _learn_fees(order, session, cost_basis, now)
    else:
        after = _current_state(order, session, cost_basis, now)
    if after == order and not order.unprotected:
        in_flight.schedule_order(order, now + _AGAIN)
    return after


def _execution_client(
    account: Account, order: Order, patience: Patience, sessions: Connections
) -> LiveExecution:
    """Returns an execution client that places orders for the signal of an existing order."""
    instrument = sessions.of(order.market_type).instrument(order.symbol)
    instruction = Instruction(
        signal_id=order.signal_id,
        user_id=order.user_id,
        account_id=order.account_id,
        exchange=order.exchange,
        variant="exits",
        action=Action.CLOSE,
        symbol=Symbol(raw=order.symbol, base=instrument.base, quote=instrument.quote),
        market_type=order.market_type,
        group_name=order.group_name,
        received_at=datetime.now(UTC),
        max_age_s=_EXITS_STAY_DUE_S,
        single_account=False,
    )
    return LiveExecution(account, instruction, patience, sessions)


def _cancel_sibling_exit(order: Order, account: Account, patience: Patience, sessions: Connections) -> None:
    """Cancels an exit if the other exit of its OCO group has traded."""
    if any(other.filled for other in in_flight.exits_of(order)):
        try:
            _execution_client(account, order, patience, sessions).cancel(order, "position_left")
        except Retryable as fault:
            log.warning(
                "exit cancel failed, retrying", extra={"order_id": order.order_id, "fault": str(fault)}
            )
            in_flight.schedule_order(order, datetime.now(UTC) + _AGAIN)


def _cancel_bare_take_profits(
    stop_loss: Order, account: Account, patience: Patience, sessions: Connections
) -> None:
    """Cancels the take-profit of a stop-loss that never arrived: both are placed again, as a pair.

    Two take-profits for one share would together exceed the position.
    """
    for other in in_flight.exits_of(stop_loss):
        if other.status in _WAITS:
            _execution_client(account, other, patience, sessions).cancel(other, "position_left")


def _current_state(order: Order, session: ExchangeSession, cost_basis: CostBasisBook, now: datetime) -> Order:
    """Returns an open order with its current state at the exchange."""
    instrument = session.instrument(order.symbol)
    state = session.find(order.client_order_id, instrument, trigger=order.stop_price is not None)
    if state is not None:
        book, fees = (
            query_order.cost_basis_booking(cost_basis, instrument, order, state),
            query_order.order_fees(session, state, instrument),
        )
        after, writes = in_flight.record_writes(order, state, book, **fees)
        if writes:
            in_flight.write(
                [*writes, *(in_flight.exposing(after) if _is_partial_exit(after, session) else [])]
            )
        return after
    if order.sent_at is not None and now - order.sent_at < 4 * timedelta(seconds=session.late_arrival_s):
        return order  # too young to have been dropped by the exchange: it will appear
    state = session.find_by_traces(query_order.order_state(order), instrument, order.created_at, strict=False)
    if state is None:
        # The order's own query and the list of open orders may both lag. A cancel by client order id ensures
        # that no order stays open.
        state = session.cancel(query_order.order_state(order), instrument)
        if not state.filled:
            # Exchanges drop cancelled orders without fills after hours or days.
            return in_flight.mark_cancelled(order, "order_not_found_at_exchange")
    return in_flight.record(
        order,
        state,
        query_order.cost_basis_booking(cost_basis, instrument, order, state),
        **query_order.order_fees(session, state, instrument),
    )


def _watch(
    order: Order, written_off_at: datetime, session: ExchangeSession, cost_basis: CostBasisBook, now: datetime
) -> Order:
    """Looks up a written-off order, at growing intervals."""
    instrument = session.instrument(order.symbol)
    state = session.find(order.client_order_id, instrument, trigger=order.stop_price is not None)
    if state is not None and (state.filled or not state.status.final):
        log.warning(
            "written-off order found at the exchange",
            extra={"order_id": order.order_id, "status": state.status.value},
        )
        book = query_order.cost_basis_booking(cost_basis, instrument, order, state)
        return in_flight.take_up(order, state, book, **query_order.order_fees(session, state, instrument))
    if state is not None or now - written_off_at > _WATCHED_FOR:
        in_flight.stop_watching(order)
    else:
        in_flight.schedule_order(order, now + max(_AGAIN, now - written_off_at))
    return order


def _is_partial_exit(order: Order, session: ExchangeSession) -> bool:
    """Returns whether an exit triggered, filled only in part, and its position is still open.

    An exit without any fill may have been cancelled by the account's owner and is left as it is.
    """
    if (
        order.exit_of is None
        or order.status is not OrderStatus.CANCELLED
        or not 0 < order.filled < order.quantity
    ):
        return False
    if order.market_type is MarketType.SPOT:
        return True
    direction = 1 if order.side is Side.SELL else -1
    return any(
        each.instrument_name == order.symbol and each.quantity * direction > 0
        for each in session.open_positions()
    )


def _learn_fees(order: Order, session: ExchangeSession, cost_basis: CostBasisBook, now: datetime) -> Order:
    """Records an ended order's fee, once the exchange shows all its trades."""
    instrument = session.instrument(order.symbol)
    found = query_order.order_fees(session, query_order.order_state(order), instrument)
    if found or now - order.updated_at > _FEES_WITHIN:
        return in_flight.complete(
            order,
            query_order.cost_basis_booking(cost_basis, instrument, order, None, fees_final=True),
            **found,
        )
    in_flight.schedule_order(order, now + _AGAIN)
    return order


def _take_snapshot(
    account: Account,
    sessions: Connections,
    own: aws.Item,
    realized: Mapping[str | None, Decimal],
    now: datetime,
) -> None:
    try:
        unfinished = in_flight.unfinished(account.account_id)
        snapshot = snapshots.take_snapshot(account, sessions, now)
        position_drift.check(account, own, unfinished, snapshot, now)
        queue_flatten.queue_flatten(
            risk_state.add_equity_change(
                account.user_id, account.account_id, snapshot["equity"], now, realized
            )
        )
    except (Refused, Retryable) as fault:
        log.warning(
            "snapshot failed, retrying later", extra={"account_id": account.account_id, "fault": str(fault)}
        )
        in_flight.schedule_account(account.account_id, account.exchange, now + _REFUSED_AGAIN)
