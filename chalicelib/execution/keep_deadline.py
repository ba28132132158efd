"""Keeps a deadline: ends a signal's expired orders, or closes what its orders opened.

Runs in the account's message group. Each order of a deadline has an id derived from the signal, so a repeated
message places nothing twice.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.events.models import event_id
from chalicelib.exchanges.protocol import Side
from chalicelib.execution.execute_signal import execute_signal
from chalicelib.orders import deadlines, store
from chalicelib.orders.deadlines import Deadline, Kind
from chalicelib.orders.models import Instruction, KeepDeadline, Order
from chalicelib.paper import store as paper_store
from chalicelib.telemetry import log
from chalicelib.trading import Action, MarketType, OnExpiry, OrderType, PositionSide

EXPIRED = "expired"
"""Code of an order that ended because of its `expires_in_s`."""

EXIT_DUE = "exit_due"
"""Code of the rest of an order that ended because of its `exit_after_s`."""

_AGAIN, _TRIES = timedelta(minutes=1), 60  # of a deadline that leaves something
_SLOW_AGAIN, _SLOW_TRIES = timedelta(hours=1), 7 * 24  # after that
_NOTHING_LEFT = {
    None,
    "no_position",
    "below_minimum",
    "below_minimum_quantity",
    "below_minimum_notional",
}
"""Codes of an exit after which nothing can be closed any more."""
_ZERO = Decimal(0)


def keep_deadline(message: KeepDeadline, seconds: float) -> None:
    """Does what is due, then removes or postpones the deadline.

    Args:
        seconds: Longest wait for an exchange, seconds in all.

    Raises:
        Retryable: An exchange did not answer in time. The next delivery continues.
    """
    deadline = deadlines.read(message.account_id, message.deadline_id)
    now = datetime.now(UTC)
    if deadline is None or deadline.due_at > now:
        return
    account = aws.get_many([("accounts", {"account_id": message.account_id})])[0]
    if account is None or "deleted_at" in account:
        deadlines.remove(deadline)
        return
    run = _Run(deadline, Account.model_validate(account), now, seconds)
    until = run.expire() if deadline.kind is Kind.EXPIRY else run.exit()
    if until is None or deadline.attempt >= _TRIES + _SLOW_TRIES:
        deadlines.remove(deadline)
    else:
        deadlines.postpone(deadline, until, failed=run.failed)
    log.info("deadline kept", extra={**deadline.key, "postponed": until is not None})
    if until is not None and deadline.attempt >= _TRIES + _SLOW_TRIES:
        log.error("deadline given up, something is left open", extra=deadline.key)


class _Run:
    """One deadline while it is kept.

    Attributes:
        failed: Whether something that was due is left.
    """

    def __init__(self, deadline: Deadline, account: Account, now: datetime, seconds: float) -> None:
        self.failed = False
        self._deadline, self._account, self._now, self._seconds = deadline, account, now, seconds

    def expire(self) -> datetime | None:
        """Cancels the resting orders, and sends the rest to the market where asked.

        Returns when to try again. None if nothing rests any more.
        """
        for order in self._orders():
            if order.expires_at is not None and not order.status.final:
                self._cancel(order, EXPIRED)
        resting = False
        for order in self._orders():
            if order.expires_at is None:
                continue
            resting = resting or not order.status.final
            rest = order.quantity - order.filled
            if order.code == EXPIRED and order.on_expiry is OnExpiry.MARKET and rest > _ZERO:
                self._execute(self._at_market(order, rest))
        return self._retry() if resting else None

    def exit(self) -> datetime | None:
        """Closes what the orders opened, each after its own time.

        Returns when something is due next. None if nothing is left.
        """
        times = [time for order in self._orders() if (time := self._exit_of(order)) is not None]
        return min(times, default=None)

    def _exit_of(self, order: Order) -> datetime | None:
        """Closes what one order opened, if due. Returns when to look again. None if nothing is left."""
        if order.exit_after_s is None:
            return None
        if order.opened_at is None:
            return None if order.status.final else self._now + timedelta(seconds=order.exit_after_s)
        due_at = order.opened_at + timedelta(seconds=order.exit_after_s)
        if due_at > self._now:
            return due_at
        if not order.status.final:
            self._cancel(order, EXIT_DUE)
            order = next(each for each in self._orders() if each.leg == order.leg)
        open_quantity = self._still_open(order)
        spot = order.market_type is MarketType.SPOT
        if spot and open_quantity and self._account.has_exchange:
            self._cancel_exits(order)  # they lock the holding
        complete = not open_quantity or self._execute(self._closing(order, open_quantity))
        if complete:
            self._cancel_exits(order)
        return None if complete and order.status.final else self._retry()

    def _retry(self) -> datetime:
        """Returns when to try what is left again."""
        self.failed = True
        return self._now + (_AGAIN if self._deadline.attempt < _TRIES else _SLOW_AGAIN)

    def _still_open(self, order: Order) -> Decimal:
        """Returns what the position still holds of an order's fills, base units.

        Later orders of the same strategy that reduced the position took the newest fills first.
        """
        if not self._account.has_exchange:
            book = paper_store.read_book(self._account)
            if order.number <= book.reset_at_order:
                return _ZERO
        own, later = order.received, _ZERO
        for each in self._later_orders(order):
            if each.side is order.side:
                later += each.received
            else:
                own -= max(each.filled - later, _ZERO)
                later = max(later - each.filled, _ZERO)
        return max(own, _ZERO)

    def _later_orders(self, order: Order) -> Iterator[Order]:
        """Yields the strategy's later orders on the same position, oldest first."""
        items = aws.query_all(
            "orders",
            "account_id = :account AND created_at >= :since",
            index="by_account",
            account=order.account_id,
            since=order.created_at.isoformat(),
        )
        found = sorted((store.order_from_item(item) for item in items), key=lambda each: each.number)
        for each in found:
            same = (each.symbol, each.market_type, each.group_name)
            if each.number <= order.number or same != (order.symbol, order.market_type, order.group_name):
                continue
            if order.hedged and (each.side is order.side) is each.reduce_only:
                continue  # it belongs to the position of the other side
            yield each

    def _closing(self, order: Order, quantity: Decimal) -> Instruction:
        """Returns the order that closes what an order opened, and never opens anything."""
        long = order.side is Side.BUY
        position = PositionSide.LONG if long else PositionSide.SHORT
        return self._instruction(
            order,
            f"exit#{self._deadline.attempt}",
            variant="exit",
            action=Action.SELL if long else Action.BUY,
            quantity=quantity,
            reduce_only=True,
            shrinks=True,
            position_side=position if order.hedged else None,
            take_profit=None,
            stop_loss=None,
            risk_percent=None,
            exit_after_s=None,
            unconditional=True,
        )

    def _at_market(self, order: Order, rest: Decimal) -> Instruction:
        """Returns the market order for the rest of an expired order, with the signal's other terms."""
        action = Action.BUY if order.side is Side.BUY else Action.SELL
        return self._instruction(order, "market", action=action, quantity=rest, reduce_only=order.reduce_only)

    def _instruction(self, order: Order, what: str, **more: Any) -> Instruction:
        """Returns a market order with the signal's terms, except for what sized and priced the signal."""
        unset = {
            "quote_amount": None,
            "position_percent": None,
            "target_size": None,
            "price": None,
            "stop_price": None,
            "time_in_force": None,
            "expires_in_s": None,
            "sent_at": None,
            "overtaken_by": None,
        }
        fixed = {
            "signal_id": event_id("deadline", order.order_id, what),
            "order_type": OrderType.MARKET,
            "legs": (),
            "batch": False,
            "post_only": False,
            "came_late": False,
            "close_same_side": False,
            "shrinks": False,
            "single_account": False,
            "received_at": self._now,
        }
        return self._deadline.terms.model_copy(update=unset | fixed | more)

    def _execute(self, instruction: Instruction) -> bool:
        """Executes an instruction once. Returns False if it left something that can be closed."""
        execute_signal(instruction, self._seconds)
        result = aws.get_many(
            [("orders", {"signal_id": instruction.signal_id, "leg": instruction.account_id})]
        )[0]
        return result is not None and result.get("code") in _NOTHING_LEFT

    def _cancel(self, order: Order, code: str) -> None:
        """Cancels one order. What a failed cancel leaves is tried again by the next attempt."""
        cancel = self._deadline.terms.model_copy(
            update={
                "signal_id": event_id(
                    "deadline", order.order_id, f"{self._deadline.kind}#cancel#{self._deadline.attempt}"
                ),
                "action": Action.CANCEL_ALL,
                "symbol": None,
                "market_type": None,
                "group_name": None,
                "overtaken_by": None,
                "came_late": False,
                "single_account": False,
                "order_id": order.order_id,
                "cancel_code": code,
                "unconditional": True,
            }
        )
        execute_signal(cancel, self._seconds)

    def _cancel_exits(self, entry: Order) -> None:
        for order in self._all_orders():
            if order.exit_of == entry.leg and not order.status.final:
                self._cancel(order, "position_left")

    def _orders(self) -> Sequence[Order]:
        """Returns the orders that the signal asked for on this account."""
        return [order for order in self._all_orders() if order.exit_of is None]

    def _all_orders(self) -> Sequence[Order]:
        terms = self._deadline.terms
        return [
            order for order in store.results_of(terms.signal_id)[1] if order.account_id == terms.account_id
        ]
