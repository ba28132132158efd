"""Following an account: its unfinished orders until they end, and a snapshot of what it holds.

Runs on the account's message group, after whatever signal was before it, so that an account has one caller.
"""

from datetime import UTC, datetime, timedelta

from chalicelib import aws
from chalicelib.errors import NotDoable, Refused, Retryable
from chalicelib.exchanges.accounts import Account
from chalicelib.exchanges.limiter import Patience
from chalicelib.exchanges.line import Line
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.orders import ledger, lookup, snapshots
from chalicelib.orders.keys import Lines
from chalicelib.orders.models import Follow, Order
from chalicelib.telemetry import log

_AGAIN = timedelta(seconds=55)
_REFUSED_AGAIN = timedelta(minutes=10)  # a key that has been revoked may be replaced
_FEES_WITHIN = timedelta(hours=1)
_PATIENCE_S = 40.0


def follow(message: Follow, seconds: float = _PATIENCE_S) -> int:
    """Looks at what is due on an account; returns how many orders were looked at."""
    now = datetime.now(UTC)
    item = aws.get_many([("accounts", {"account_id": message.account_id})])[0]
    orders = ledger.unfinished(message.account_id, due_by=now)
    own = ledger.account_item(message.account_id)
    snapshot_due = own is not None and own.get("due_at", "~") <= now.isoformat()
    if item is None or not (orders or snapshot_due):
        return 0
    account = Account.model_validate(item)
    try:
        lines = Lines(account, Patience(seconds))
    except Refused as refused:
        log.warning("account cannot be followed", extra={"account_id": account.account_id, "code": refused.code})
        for order in orders:
            ledger.postpone(order, now + _REFUSED_AGAIN)
        if "deleted_at" in item or not orders:
            snapshots.stop(account.account_id)
        return 0
    for order in orders:
        try:
            _look_at(order, lines.of(order.market_type), now)
        except (Refused, Retryable) as fault:
            log.warning("order not followed", extra={"order_id": order.order_id, "fault": str(fault)})
            ledger.postpone(order, now + (_REFUSED_AGAIN if isinstance(fault, Refused) else _AGAIN))
    if snapshot_due or orders:
        _take_snapshot(account, lines, now)
    log.info("account followed", extra={"account_id": account.account_id, "orders": len(orders)})
    return len(orders)


def _look_at(order: Order, line: Line, now: datetime) -> None:
    if order.status in {OrderStatus.CLAIMED, OrderStatus.UNKNOWN}:
        after = lookup.settle(order, line, NotDoable("exchange_never_arrived"))
    elif order.status.final:
        _learn_fees(order, line, now)
        return
    else:
        after = _current(order, line, now)
    if after == order:
        ledger.postpone(order, now + _AGAIN)


def _current(order: Order, line: Line, now: datetime) -> Order:
    """An open order as the exchange shows it now."""
    instrument = line.instrument(order.symbol)
    state = line.find(order.client_order_id, instrument, trigger=order.stop_price is not None)
    if state is not None:
        return ledger.record(order, state, **lookup.fees(line, state, instrument))
    if order.sent_at is not None and now - order.sent_at < 4 * timedelta(seconds=line.late_arrival_s):
        return order  # too young to have been forgotten; it will show
    # Exchanges forget cancelled orders that have not traded, within hours or days. Whoever cancelled it, it was not us.
    return ledger.cancelled(order, "exchange_forgot")


def _learn_fees(order: Order, line: Line, now: datetime) -> None:
    """The fee of an ended order, once the exchange shows all its trades."""
    found = lookup.fees(line, lookup.state_of(order), line.instrument(order.symbol))
    if found:
        ledger.complete(order, **found)
    elif now - order.updated_at > _FEES_WITHIN:
        ledger.complete(order)
    else:
        ledger.postpone(order, now + _AGAIN)


def _take_snapshot(account: Account, lines: Lines, now: datetime) -> None:
    try:
        snapshots.take(account, lines, now)
    except (Refused, Retryable) as fault:
        log.warning("no snapshot", extra={"account_id": account.account_id, "fault": str(fault)})
        ledger.account_due(account.account_id, account.exchange, now + _REFUSED_AGAIN)
