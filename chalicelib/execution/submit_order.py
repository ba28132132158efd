"""Submits orders to an exchange: recorded first, sent once, looked up before any second send.

A signal's message may be delivered several times and the process may crash between any two steps. The order
store's records of earlier attempts decide what this attempt does.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.errors import NotDoable, OutcomeUnknown, Refused, Retryable
from chalicelib.exchanges import filters
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderState, OrderStatus, RateLimited, Side
from chalicelib.exchanges.rate_limiter import Patience
from chalicelib.exchanges.session import ExchangeSession
from chalicelib.execution import query_order, reference_price
from chalicelib.execution.account_view import AccountView, SessionSource
from chalicelib.orders import age, deadlines, in_flight
from chalicelib.orders.legs import CLOSING_LEG
from chalicelib.orders.models import Instruction, Order
from chalicelib.portfolio.cost_basis import CostBasisBook
from chalicelib.telemetry import log
from chalicelib.trading import MarketType

_TRIES = 4  # sends of one order. Each further send requires that the order is certainly absent
_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 2.0
_UNCERTAIN = (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)


class OrderSubmitter:
    """Submits the orders of one signal on one account.

    Attributes:
        existing_orders: The signal's orders in the order store.
        placed: The orders so far, including orders recovered from earlier attempts.
    """

    def __init__(
        self,
        account: Account,
        instruction: Instruction,
        patience: Patience,
        sessions: SessionSource,
        view: AccountView,
        existing_orders: in_flight.ExistingOrders,
        cost_basis: CostBasisBook,
        recheck_risk: Callable[[], None],
        *,
        defer_write: bool,
    ) -> None:
        """Starts without sending an order.

        Args:
            view: The values that orders are sized from. Stored with each order.
            recheck_risk: Called just before an opening order is sent. Raises Refused if the order is no
                longer permitted.
            defer_write: Leaves the record of the last order to the transaction that settles the signal. See
                `writes`.
        """
        self.existing_orders = existing_orders
        self.placed: list[Order] = []
        self._account = account
        self._instruction = instruction
        self._patience = patience
        self._sessions = sessions
        self._view = view
        self._cost_basis = cost_basis
        self._recheck_risk = recheck_risk
        self._defer_write = defer_write
        self._unwritten: list[aws.Write] = []

    def place(self, leg: str, request: OrderRequest, percent: Decimal | None = None) -> Order:
        """Places an order once, or recovers the order of an earlier attempt.

        Raises:
            Refused: A filter or the exchange refuses the order. An order already recorded becomes `rejected`.
            Retryable: The outcome is not certain yet. The next delivery of the message continues from here.
        """
        self.write()
        if request.reduce_only:
            request = replace(request, quantity=filters.round_quantity(request.instrument, request.quantity))
        existing = self.existing_orders.orders.get(leg)
        if existing is None:
            filters.check(request)
            ahead = max(len(self._instruction.legs) - 1 - int(leg), 0) if leg.isdigit() else 0
            self._session(request.instrument).prepare(request, ahead=ahead)
            placed = self._send(self.claim(leg, request, percent), request)
        elif existing.status is OrderStatus.REJECTED:
            raise NotDoable(existing.code or "exchange_refused", **existing.values)
        elif existing.status in _UNCERTAIN:
            placed = self._recover(existing, _claimed_request(existing, request))
        else:
            placed = existing
        self.placed.append(placed)
        return placed

    def place_oco(self, first: tuple[str, OrderRequest], second: tuple[str, OrderRequest]) -> None:
        """Places two orders in one call, for exchanges that would refuse the second order alone."""
        (leg, request), (other_leg, other_request) = first, second
        filters.check(other_request)
        other = self.existing_orders.orders.get(other_leg) or self.claim(other_leg, other_request)
        try:
            self.place(leg, replace(request, oco_sibling=other_request))
        except Refused as refusal:
            if other.status is OrderStatus.PENDING_NEW:
                in_flight.reject(other, refusal)
            raise
        if other.status in _UNCERTAIN:
            self.placed.append(self._recover(other, other_request))

    def until_ended(self, order: Order, instrument: Instrument) -> Order:
        """Waits until a placed order has ended. Does not wait for an order whose outcome is unknown.

        Raises:
            Retryable: No time is left.
        """
        if order.status.final:
            return order
        pause = _PAUSE_S
        while not order.status.final and order.status is not OrderStatus.UNKNOWN:
            self._patience.wait(pause, "exit")
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            found = self._find(order, instrument)
            if found is not None:
                order = self._record(order, found, instrument)
        self.placed[:] = [each if each.leg != order.leg else order for each in self.placed]
        self.write()
        return order

    def planned(self, leg: str, request: OrderRequest, percent: Decimal | None = None) -> Order:
        """Returns the order as it is recorded before it is sent."""
        now = datetime.now(UTC)
        instruction, account, basis = self._instruction, self._account, self._view.basis_of(request)
        return Order(
            signal_id=instruction.signal_id,
            account_id=account.account_id,
            user_id=account.user_id,
            leg=leg,
            number=self.existing_orders.count + 1,
            client_order_id=request.client_order_id,
            exchange=account.exchange,
            market_type=request.instrument.market_type,
            symbol=request.instrument.name,
            base=request.instrument.base,
            side=request.side,
            order_type=request.order_type,
            reduce_only=request.reduce_only,
            status=OrderStatus.PENDING_NEW,
            quantity=request.quantity,
            filled=Decimal(0),
            price=request.price or basis.get("price"),
            stop_price=request.stop_price,
            exits=request.exits,
            margin_mode=request.margin_mode,
            hedged=request.hedged,
            percent=percent,
            group_name=instruction.group_name,
            signal_price=reference_price.wanted_price(
                request, None if "." in leg else instruction, basis.get("price")
            ),
            sent_at=now,
            tries=1,
            basis=basis,
            delays=tuple(self._patience.delays),
            created_at=now,
            updated_at=now,
            **deadlines.order_fields(instruction, leg, request, now),
        )

    def claim(self, leg: str, request: OrderRequest, percent: Decimal | None = None) -> Order:
        """Records an order that is about to be sent."""
        order = self.planned(leg, request, percent)
        in_flight.claim(order, deadlines.new_deadline_writes(self._instruction, order))
        self.existing_orders.count += 1
        return order

    def writes(self) -> list[aws.Write]:
        """Returns the last order's record, for the transaction that settles the signal.

        If that transaction fails, the order is looked up again.
        """
        writes, self._unwritten = self._unwritten, []
        return writes

    def write(self) -> None:
        """Writes the pending records now."""
        if writes := self.writes():
            in_flight.write(writes)

    def _send(self, order: Order, request: OrderRequest) -> Order:
        """Sends a recorded order. Sends it again only if it is certainly absent at the exchange."""
        session = self._session(request.instrument)
        while True:
            try:
                if not _is_reducing(request):
                    self._recheck_risk()
                state = session.place(request)
            except OutcomeUnknown as fault:
                log.warning(
                    "order outcome unknown, querying the exchange",
                    extra={"order_id": order.order_id, "fault": str(fault)},
                )
                return self._recover(in_flight.mark_unknown(order, sent_now=True), request)
            except Retryable as fault:
                log.info(
                    "order placement failed, retrying",
                    extra={"order_id": order.order_id, "fault": str(fault)},
                )
                if order.tries >= _TRIES and not isinstance(fault, RateLimited):
                    raise
                if not isinstance(fault, RateLimited):
                    self._patience.wait(_PAUSE_S * 2**order.tries, "fault")
                session.acquire(request)
                found = self._find(order, request.instrument)
                if found is not None:
                    return self._record(order, found, request.instrument)
                order = in_flight.send_again(order, limited=isinstance(fault, RateLimited))
            except Refused as refusal:
                in_flight.reject(order, refusal)
                raise
            else:
                return self._record(order, state, request.instrument)

    def _recover(self, order: Order, request: OrderRequest) -> Order:
        """Returns the result of an order that was sent or may have been sent.

        The order is absent if its query says so after the late-arrival bound and a second proof agrees.
        Without a second proof, an order that could double is not sent again: it stays unknown and is
        reconciled.
        """
        session = self._session(request.instrument)
        assert order.sent_at is not None
        try:
            found = self._find(order, request.instrument)
            until = order.sent_at + timedelta(seconds=session.late_arrival_s)
            wait = (until - datetime.now(UTC)).total_seconds()
            if found is None and wait > 0:
                if wait > self._patience.left and order.status is OrderStatus.UNKNOWN:
                    return order
                self._patience.wait(wait, "late_arrival")
                found = self._find(order, request.instrument)
            if found is None and not request.reduce_only:
                found = query_order.second_proof(order, session, self._traded(order))
        except (Retryable, Refused) as fault:
            if (
                isinstance(fault, Retryable)
                and order.status is OrderStatus.PENDING_NEW
                and self._patience.left < session.late_arrival_s
            ):
                raise
            # The exchange gives no answer. The order stays unknown and is reconciled every minute.
            return in_flight.mark_unknown(order)
        if found is not None:
            return self._record(order, found, request.instrument)
        if not _is_reducing(request):
            try:
                age.check(
                    self._instruction.sent_at,
                    self._instruction.received_at,
                    datetime.now(UTC),
                    self._instruction.max_age_s,
                )
            except NotDoable as stale:
                in_flight.reject(order, stale, absent=True)
                raise
        if order.tries >= _TRIES:
            refusal = NotDoable("exchange_never_arrived")
            in_flight.reject(order, refusal, absent=True)
            raise refusal
        session.prepare(request, ahead=0)
        return self._send(in_flight.send_again(order), request)

    def _traded(self, order: Order) -> Decimal:
        """Returns the position change by the signal's other orders since this order was sized, base units.

        Negative if sold. The parts of a close are sized from one reading, which is made again for an entry.
        """
        is_closing = order.leg.startswith(CLOSING_LEG)
        others = [
            each
            for each in self.placed
            if each.leg != order.leg and each.leg.startswith(CLOSING_LEG) is is_closing
        ]
        return sum((each.received if each.side is Side.BUY else -each.filled for each in others), Decimal(0))

    def _record(self, order: Order, state: OrderState, instrument: Instrument) -> Order:
        self.write()
        more = {
            **query_order.order_fees(self._session(instrument), state, instrument),
            "delays": tuple(self._patience.delays),
        }
        order, writes = in_flight.record_writes(
            order, state, lambda changed: self._cost_basis.booked(changed, instrument), **more
        )
        self._unwritten += writes
        if not self._defer_write:
            self.write()
        return order

    def _find(self, order: Order, instrument: Instrument) -> OrderState | None:
        return self._session(instrument).find(
            order.client_order_id, instrument, trigger=order.stop_price is not None
        )

    def _session(self, instrument: Instrument) -> ExchangeSession:
        return self._sessions.of(instrument.market_type)


def _is_reducing(request: OrderRequest) -> bool:
    """Returns whether an order closes or reduces. Such orders are never blocked and never stale.

    On spot every sale reduces, because there are no short positions.
    """
    return request.reduce_only or (
        request.side is Side.SELL and request.instrument.market_type is MarketType.SPOT
    )


def _claimed_request(existing: Order, request: OrderRequest) -> OrderRequest:
    """Returns the request as recorded earlier, independent of what this attempt planned."""
    price = existing.price if request.price is not None else None
    kind, quantity = existing.order_type, existing.quantity
    return replace(
        request,
        side=existing.side,
        order_type=kind,
        quantity=quantity,
        price=price,
        stop_price=existing.stop_price,
    )
