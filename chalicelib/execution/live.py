"""Live execution: the execution client of an account with exchange keys, for one signal.

`submit_order.py` sends orders, `account_view.py` sizes them, `place_protection.py` places their exits.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.accounts.connections import Connections
from chalicelib.accounts.model import Account
from chalicelib.accounts.rates import Rates
from chalicelib.errors import NotDoable, Refused
from chalicelib.exchanges import filters
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderStatus, Position, Side
from chalicelib.exchanges.rate_limiter import Patience
from chalicelib.execution import query_order
from chalicelib.execution.account_view import AccountView, SessionSource
from chalicelib.execution.place_protection import place_protection
from chalicelib.execution.reference_price import PriceSource
from chalicelib.execution.submit_order import OrderSubmitter
from chalicelib.orders import in_flight
from chalicelib.orders.legs import CLOSING_LEG, is_further_part
from chalicelib.orders.models import Instruction, Order
from chalicelib.portfolio.cost_basis import CostBasisBook, profits
from chalicelib.telemetry import log
from chalicelib.trading import Action, MarketType, OrderType, PositionSide, Symbol

_OPEN = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.UNKNOWN)
_REST_PAUSE_S = 0.25  # before the first retry of a position's rest. Doubles each time
_LONGEST_REST_PAUSE_S = 4.0
_RESERVE_S = 4.0  # of the signal's time, reserved to place one more order and write its result


def order_legs(instruction: Instruction) -> list[str]:
    """Returns the legs of the orders that a signal may place on an account, without further parts."""
    return [] if instruction.action is Action.CANCEL_ALL else [CLOSING_LEG, *_opening_legs(instruction)]


def _opening_legs(instruction: Instruction) -> list[str]:
    return [str(index) for index in range(max(len(instruction.legs), 1))]


class LiveExecution:
    """One account with exchange keys while one signal runs on it.

    Attributes:
        recheck_risk: Called just before an opening order is sent. Raises Refused if the order is no longer
            permitted.
    """

    def __init__(
        self,
        account: Account,
        instruction: Instruction,
        patience: Patience,
        sessions: SessionSource | None = None,
        existing_orders: in_flight.ExistingOrders | None = None,
        cost_basis: CostBasisBook | None = None,
        *,
        defer_write: bool = False,
    ) -> None:
        """Opens the account's sessions.

        Args:
            existing_orders: The signal's orders in the order store. None reads them.
            cost_basis: The account's cost basis as far as it has been read. None starts empty.
            defer_write: Leaves the record of the last order to the transaction that settles the signal. See
                `writes`.
        """
        self.recheck_risk: Callable[[], None] = lambda: None
        self._account = account
        self._instruction = instruction
        self._patience = patience
        self._sessions: SessionSource = sessions or Connections(account, patience)
        self._cost_basis = cost_basis or CostBasisBook()
        self._existing_orders = existing_orders or in_flight.read_existing(
            instruction.signal_id, account.account_id, order_legs(instruction)
        )
        self._view = AccountView(
            self._sessions, instruction, self._basis_of_legs([CLOSING_LEG, *_opening_legs(instruction)]) or {}
        )
        self._submitter = OrderSubmitter(
            account,
            instruction,
            patience,
            self._sessions,
            self._view,
            self._existing_orders,
            self._cost_basis,
            self._ask,
            defer_write=defer_write,
        )

    @property
    def placed(self) -> list[Order]:
        """The signal's orders so far, including orders recovered from earlier attempts."""
        return self._submitter.placed

    @property
    def rates(self) -> Rates:
        """Approximate trading costs. An order sized as a share of the balance must leave room for them."""
        return self._account.rates

    @property
    def profits(self) -> dict[str | None, Decimal]:
        """Profit realised by the signal's orders, in dollars net of fees, as far as it is known."""
        return profits(self.placed)

    @property
    def delays(self) -> Sequence[Any]:
        """The waits of the signal."""
        return self._patience.delays

    def writes(self) -> list[aws.Write]:
        """Returns the last order's record, for the transaction that settles the signal.

        If that transaction fails, the order is looked up again.
        """
        return self._submitter.writes()

    @property
    def exits_hold(self) -> bool:
        """True: an exchange locks the holdings that a conditional order will sell."""
        return True

    @property
    def manages_exits(self) -> bool:
        """False: an exchange keeps a limited number of exits, and their prices stay."""
        return False

    def sellable(self, instrument: Instrument, held: Decimal) -> Decimal:
        """Returns the largest multiple of the quantity step, base units."""
        return filters.round_quantity(instrument, held)

    def instrument(self, symbol: Symbol, market_type: MarketType, near: Decimal | None) -> Instrument:  # noqa: ARG002
        """Returns the instrument from the stored metadata."""
        return self._sessions.of(market_type).instrument(symbol.name)

    def market_price(self, symbol: Symbol) -> Decimal | None:
        """Returns the exchange's last price, quote per base.

        None for a limit order: it is sized by its limit price, which saves the request.
        """
        return None if self._instruction.order_type is OrderType.LIMIT else self.current_price(symbol)

    def current_price(self, symbol: Symbol) -> Decimal | None:
        """Returns the exchange's last price, quote per base."""
        return self._view.price(symbol)

    @property
    def price_source(self) -> PriceSource | None:
        """Always the exchange."""
        return PriceSource.EXCHANGE

    def execution_price(self, order: OrderRequest, price: Decimal) -> Decimal:  # noqa: ARG002
        """Returns `price`: the execution price is known only after the fill."""
        return price

    def free(self, instrument: Instrument) -> Decimal:
        """Returns the free quote balance, read once per signal, quote units."""
        return self._view.free(instrument)

    @property
    def insists(self) -> bool:
        """True: an unclosed position must not go unnoticed."""
        return True

    def positions(
        self, instrument: Instrument, position_side: PositionSide | None = None
    ) -> Sequence[Position]:
        """Returns the positions, or the free holdings on spot, read once per signal."""
        return self._view.positions(instrument, position_side)

    def standing(self, instrument: Instrument, position: Position) -> Decimal:
        """Returns how much of a position is open now, base units without sign."""
        self._submitter.write()
        return self._view.standing(instrument, position)

    def exposure(self, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """Returns the exposure on one side, base units, and the number of other positions.

        Includes the order store's open orders that would add to it.
        """
        self._submitter.write()
        return self._view.exposure(self._account.account_id, instrument, side)

    def place(self, leg: str, order: OrderRequest, percent: Decimal | None = None) -> Order:
        """Places an order once, or recovers the order of an earlier attempt.

        Raises:
            Refused: A filter or the exchange refuses the order. An order already recorded becomes `rejected`.
            Retryable: The outcome is not certain yet. The next delivery of the message continues from here.
        """
        self.claimed(leg)
        return self._submitter.place(leg, order, percent)

    def claimed(self, leg: str) -> bool:
        """Returns whether an earlier attempt at the same signal has recorded an order under this leg."""
        if is_further_part(leg) and leg not in self._existing_orders.orders:
            self._submitter.write()
            self._existing_orders.orders |= in_flight.read_existing(
                self._instruction.signal_id, self._account.account_id, [leg]
            ).orders
        return leg in self._existing_orders.orders

    def until_ended(self, order: Order) -> Order:
        """Waits until a placed order has ended, unless its outcome is unknown.

        Raises:
            Retryable: No time is left.
        """
        return self._submitter.until_ended(
            order, self._sessions.of(order.market_type).instrument(order.symbol)
        )

    def wait_for_rest(self, attempt: int) -> bool:
        """Waits before the rest of a position is retried. Returns False if the signal's time is up."""
        pause = min(_REST_PAUSE_S * 2**attempt, _LONGEST_REST_PAUSE_S)
        if self._patience.left < pause + _RESERVE_S:
            return False
        self._submitter.write()
        self._patience.wait(pause, "exit")
        return True

    def look_again(self) -> None:
        """Reads balance and positions again, so that orders after an exit are sized by the new values."""
        self._view.refresh(self._basis_of_legs(_opening_legs(self._instruction)))

    def protect(self, entry: Order) -> None:
        """Places the exits of an order's filled part.

        Raises:
            Retryable: As `place_protection`.
        """
        if entry.unprotected:
            place_protection(entry, self._sessions.of(entry.market_type), self._submitter)

    def open_orders(
        self, group_name: str | None, symbol: Symbol | None, market_type: MarketType | None
    ) -> Sequence[Order]:
        """Returns the order store's unfinished orders that match.

        Includes orders of unknown outcome, and written-off orders that the exchange lists as open.
        """
        self._submitter.write()
        matching = [
            order
            for order in in_flight.unfinished(self._account.account_id)
            if (group_name is None or order.group_name == group_name)
            and (symbol is None or order.symbol == symbol.name)
            and (market_type is None or order.market_type is market_type)
        ]
        reappeared = self._resume_reappeared(
            [order for order in matching if order.written_off_at is not None]
        )
        return [order for order in matching if order.status in _OPEN] + reappeared

    def _resume_reappeared(self, written_off: Sequence[Order]) -> list[Order]:
        """Resumes written-off orders that the exchange lists as open."""
        found = []
        for market_type, symbol in sorted({(order.market_type, order.symbol) for order in written_off}):
            session = self._sessions.of(market_type)
            instrument = session.instrument(symbol)
            listed = {state.client_order_id: state for state in session.open_orders(instrument)}
            for order in written_off:
                state = listed.get(order.client_order_id)
                if state is not None:
                    found.append(
                        in_flight.take_up(
                            order,
                            state,
                            query_order.cost_basis_booking(self._cost_basis, instrument, order, state),
                        )
                    )
        return [order for order in found if order.status in _OPEN]

    def cancel(self, order: Order, code: str | None = None) -> bool:
        """Cancels an order at the exchange. Returns False if it had ended or cannot be cancelled."""
        self._submitter.write()
        session = self._sessions.of(order.market_type)
        instrument = session.instrument(order.symbol)
        try:
            state = session.cancel(query_order.order_state(order), instrument)
        except Refused as refusal:
            if refusal.code == "exchange_never_arrived":
                query_order.resolve_order(order, session, refusal, self._cost_basis)
            log.warning("order cancel failed", extra={"order_id": order.order_id, "code": refusal.code})
            return False
        why = {"code": code} if code and state.status is OrderStatus.CANCELLED else {}
        book = query_order.cost_basis_booking(self._cost_basis, instrument, order, state)
        return in_flight.record(order, state, book, **why).status is OrderStatus.CANCELLED

    def leave(self, refusal: Refused | None) -> None:
        """Recovers orders from an earlier attempt that this attempt never reached.

        Args:
            refusal: Why this attempt stopped. An order that never reached the exchange gets the same reason.
                None if nothing was refused.
        """
        placed_legs = {order.leg for order in self.placed}
        for leg, order in self._existing_orders.orders.items():
            if leg in placed_legs or order.status is OrderStatus.REJECTED:
                continue
            if order.status in {OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN}:
                self._submitter.write()
                session = self._sessions.of(order.market_type)
                order = query_order.resolve_order(  # noqa: PLW2901
                    order, session, refusal or NotDoable("exchange_never_arrived"), self._cost_basis
                )
            self.placed.append(order)

    def _ask(self) -> None:
        self.recheck_risk()

    def _basis_of_legs(self, names: Sequence[str]) -> dict[str, Decimal] | None:
        """Returns the values that the first of these legs was sized from. None if no leg is recorded."""
        return next(
            (self._existing_orders.orders[leg].basis for leg in names if leg in self._existing_orders.orders),
            None,
        )
