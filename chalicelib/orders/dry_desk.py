"""Desks on which a dry run trades: they say what would become of each order, and place, claim and write nothing.

On a simulated account that is the book itself, in memory. At an exchange it is what can be told from here: the same reads and the same
sizes as a real run, held against the exchange's rules and the free balance. What only the exchange knows (its own risk limits, its answer
to a stop that would fire at once) it may still refuse.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from chalicelib.errors import NotDoable, Retryable
from chalicelib.exchanges import filters
from chalicelib.exchanges.accounts import Account
from chalicelib.exchanges.limiter import Patience
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderStatus, Side
from chalicelib.exchanges.wire import text
from chalicelib.orders.keys import Lines
from chalicelib.orders.ledger import Known
from chalicelib.orders.live_desk import LiveDesk
from chalicelib.orders.models import Instruction, Order
from chalicelib.orders.paper_desk import PaperDesk
from chalicelib.orders.trade import CLOSING_LEG
from chalicelib.trading import MarketType, OrderType, Symbol

CALL_TIMEOUT_S = (2.0, 4.0)
"""Seconds to connect and to read: somebody waits for the answer, and a read that takes longer is told as such."""

_CONDITIONAL = (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)


class DryPaperDesk(PaperDesk):
    """A paper book that nothing is ever written to.

    Attributes:
        instrument_used: The instrument that was asked for.
    """

    instrument_used: Instrument | None = None

    def instrument(self, symbol: Symbol, market_type: MarketType, near: Decimal | None) -> Instrument:
        """The instrument."""
        self.instrument_used = super().instrument(symbol, market_type, near)
        return self.instrument_used

    def flush(self) -> None:
        """Writes nothing."""


class DryLiveDesk(LiveDesk):
    """An account at an exchange that is only looked at.

    Attributes:
        instrument_used: The instrument that was asked for.

    Raises:
        NotDoable: `exchange_key_missing`, `exchange_key_unreadable`.
        Retryable: By every method that asks the exchange: it does not answer in the time there is.
    """

    instrument_used: Instrument | None = None

    def __init__(self, account: Account, instruction: Instruction, seconds: float) -> None:
        """Opens the account's lines.

        Args:
            seconds: How long it may take; a read under way at the end still has its own timeout.
        """
        patience = Patience(seconds)
        # No order comes after these reads, so nothing is booked beyond them.
        lines = Lines(account, patience, timeout=CALL_TIMEOUT_S, leasing=False)
        super().__init__(account, instruction, patience, lines, Known({}, 0))
        self._spent: dict[str, Decimal] = {}

    def instrument(self, symbol: Symbol, market_type: MarketType, near: Decimal | None) -> Instrument:
        """The instrument from the stored metadata."""
        self.instrument_used = super().instrument(symbol, market_type, near)
        return self.instrument_used

    def place(self, leg: str, order: OrderRequest, percent: Decimal | None = None) -> Order:
        """The order as it would be placed; one at market as it would fill, at the price it was reckoned with.

        Raises:
            NotDoable: The rule of the exchange that it breaks, or `insufficient_funds`, `insufficient_holdings`.
        """
        if order.reduce_only:
            order = replace(order, quantity=filters.round_quantity(order.instrument, order.quantity))
        filters.check(order)
        if order.post_only and order.order_type is not OrderType.LIMIT:
            raise NotDoable("post_only_needs_limit", order_type=order.order_type.value)
        if not order.reduce_only and not self._line(order.instrument).is_traded(order.instrument):
            raise NotDoable("symbol_not_traded", symbol=order.instrument.name)
        self._afford(order)
        planned = self._order_of(leg, order, percent)
        if order.order_type is OrderType.MARKET:
            told = {"status": OrderStatus.FILLED, "filled": order.quantity, "average_price": planned.price}
        else:
            told = {"status": OrderStatus.OPEN}
        self.placed.append(planned.model_copy(update=told))
        return self.placed[-1]

    def protect(self, entry: Order) -> None:
        """Places nothing."""

    def cancel(self, order: Order, code: str | None = None) -> bool:  # noqa: ARG002
        """Cancels nothing, and takes it that it would succeed."""
        return True

    def _afford(self, order: OrderRequest) -> None:
        """Holds an order against what is free, with the orders before it.

        A conditional order needs nothing until it fires. After an exit it is not known here what that has set free.
        """
        instrument, exited = order.instrument, any(each.leg == CLOSING_LEG for each in self.placed)
        if order.reduce_only or exited or order.order_type in _CONDITIONAL:
            return
        if instrument.market_type is MarketType.SPOT and order.side is Side.SELL:
            code, currency, needed = "insufficient_holdings", instrument.base, order.quantity
            available = self.held(instrument)
        else:
            price = order.price or self._expected_price()
            if price is None:
                return
            code, currency = "insufficient_funds", instrument.quote
            needed = order.quantity * price / (order.leverage or 1)
            available = self.free(instrument)
        needed += self._spent.get(currency, Decimal(0))
        if needed > available:
            raise NotDoable(code, needed=text(needed), available=text(available))
        self._spent[currency] = needed

    def _expected_price(self) -> Decimal | None:
        return self._basis.get("price") or self._instruction.market_price

    def exposure(self, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """Position or holdings of one side, with the ledger's open orders that would add to it."""
        self._still_time()
        return super().exposure(instrument, side)

    def _look(self, what: str, look: Callable[[], Decimal]) -> Decimal:
        self._still_time()
        return super()._look(what, look)

    def _still_time(self) -> None:
        if self._patience.left <= 0:
            raise Retryable("the exchange has not answered in time")
