"""Execution clients for dry runs: they report what each order would do.

A dry run places, records and writes nothing.

- A simulated account runs on its own book in memory.
- An exchange account runs on its last snapshot, see `snapshot_session.py`. Orders are sized as in a real run
  and checked against the exchange's rules and the free balance.

The exchange is never called. It may still refuse an order for reasons that only the exchange knows, such as
its own risk limits or a stop that would fire at once.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.errors import NotDoable, Retryable
from chalicelib.exchanges import filters
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderStatus, Position, Side
from chalicelib.exchanges.rate_limiter import Patience
from chalicelib.exchanges.wire import text
from chalicelib.execution.live import LiveExecution
from chalicelib.execution.paper import PaperExecution
from chalicelib.execution.reference_price import PriceSource
from chalicelib.execution.snapshot_session import SnapshotSessions
from chalicelib.orders.in_flight import ExistingOrders
from chalicelib.orders.legs import CLOSING_LEG, whole
from chalicelib.orders.models import Instruction, Order
from chalicelib.trading import MarketType, OrderType, PositionSide, Symbol

_CONDITIONAL = (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)


class PaperDryRun(PaperExecution):
    """A paper book whose changes are never written.

    Attributes:
        instrument_used: The requested instrument. None before a request.
    """

    instrument_used: Instrument | None = None

    def instrument(self, symbol: Symbol, market_type: MarketType, near: Decimal | None) -> Instrument:
        """Returns the instrument and stores it in `instrument_used`."""
        self.instrument_used = super().instrument(symbol, market_type, near)
        return self.instrument_used

    def flush(self) -> None:
        """Writes nothing."""

    def write_ended_exits(self) -> None:
        """Writes nothing."""


class DryRunExecution(LiveExecution):
    """An exchange account as of its last snapshot.

    An account without a snapshot counts as holding no position and as having enough balance to open one.

    Attributes:
        instrument_used: The requested instrument. None before a request.
        missing: Whether a needed value is not stored, so that a real run may differ.

    Raises:
        NotDoable: `no_snapshot_yet` if the dry run cannot continue without a snapshot.
    """

    instrument_used: Instrument | None = None

    def __init__(
        self, account: Account, instruction: Instruction, snapshot: aws.Item | None, price: Decimal | None
    ) -> None:
        """Takes the stored values.

        Args:
            snapshot: The account's last snapshot. None if there is none.
            price: The last known price of the instruction's symbol, quote per base. None if unknown.
        """
        super().__init__(
            account,
            instruction,
            Patience(0),
            SnapshotSessions(account, snapshot, price),
            ExistingOrders({}, 0),
        )
        self.missing = False
        self._looked_at = snapshot is not None
        self._spent: dict[str, Decimal] = {}

    def instrument(self, symbol: Symbol, market_type: MarketType, near: Decimal | None) -> Instrument:
        """Returns the instrument from the stored metadata."""
        try:
            self.instrument_used = super().instrument(symbol, market_type, near)
        except Retryable:  # the market's metadata has never been fetched
            raise self.no_snapshot_yet() from None
        return self.instrument_used

    def market_price(self, symbol: Symbol) -> Decimal | None:
        """Returns the last known price, else the signal's own price. None if neither is known.

        A real run would not use the signal's own price, so `missing` is set.
        """
        price = super().market_price(symbol)
        if price is None and self._instruction.market_price is not None:
            self.missing = True
            return self._instruction.market_price
        return price

    def current_price(self, symbol: Symbol) -> Decimal | None:
        """Returns the last known price, quote per base. None if unknown."""
        try:
            return super().current_price(symbol)
        except NotDoable as refused:
            if refused.code != "no_price":
                raise
            return None
        except Retryable:
            raise self.no_snapshot_yet() from None

    @property
    def price_source(self) -> PriceSource | None:
        """The last known price, else the signal's price. None if there is neither."""
        if "price" in self._view.basis:
            return PriceSource.LAST_SEEN
        return PriceSource.SIGNAL if self._instruction.market_price is not None else None

    def free(self, instrument: Instrument) -> Decimal:
        """Returns the free quote balance, quote units.

        Without a snapshot, first raises the refusals that hold for any order size.
        """
        if not self._looked_at:
            self.recheck_risk()
            raise self.no_snapshot_yet()
        return super().free(instrument)

    def positions(
        self, instrument: Instrument, position_side: PositionSide | None = None
    ) -> Sequence[Position]:
        """Returns the positions, or the free holdings on spot."""
        self.missing |= not self._looked_at
        return super().positions(instrument, position_side)

    def claimed(self, leg: str) -> bool:  # noqa: ARG002
        """Returns False: a dry run has no earlier attempts."""
        return False

    def exposure(self, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """Returns the exposure on one side, base units, and the number of other positions."""
        self.missing |= not self._looked_at
        return super().exposure(instrument, side)

    def no_snapshot_yet(self) -> NotDoable:
        """Returns the refusal for a missing snapshot and sets `missing`."""
        self.missing = True
        return NotDoable("no_snapshot_yet", account=self._account.name, exchange=self._account.exchange)

    def place(self, leg: str, order: OrderRequest, percent: Decimal | None = None) -> Order:
        """Returns the order as it would be placed. A market order counts as filled at its sizing price.

        Raises:
            NotDoable: The exchange's rule that the order breaks, `insufficient_funds` or
                `insufficient_holdings`.
        """
        if order.reduce_only:
            order = replace(order, quantity=filters.round_quantity(order.instrument, order.quantity))
        filters.check(order)
        if order.post_only and order.order_type is not OrderType.LIMIT:
            raise NotDoable("post_only_needs_limit", order_type=order.order_type.value)
        if not order.reduce_only and not self._sessions.of(order.instrument.market_type).is_traded(
            order.instrument
        ):
            raise NotDoable("symbol_not_traded", symbol=order.instrument.name)
        self._afford(order)
        planned = self._submitter.planned(leg, order, percent)
        if order.order_type is OrderType.MARKET:
            result = {"status": OrderStatus.FILLED, "filled": order.quantity, "average_price": planned.price}
        else:
            result = {"status": OrderStatus.OPEN}
        self.placed.append(planned.model_copy(update=result))
        return self.placed[-1]

    def protect(self, entry: Order) -> None:
        """Places nothing."""

    def cancel(self, order: Order, code: str | None = None) -> bool:  # noqa: ARG002
        """Cancels nothing. Returns True, as for a cancel that succeeds."""
        return True

    def _resume_reappeared(self, written_off: Sequence[Order]) -> list[Order]:  # noqa: ARG002
        """Returns an empty list: the exchange is not called."""
        return []

    def _afford(self, order: OrderRequest) -> None:
        """Checks an order, together with the earlier orders, against the free balance.

        A conditional order needs no balance until it triggers. Nothing is checked after an exit, because the
        balance that the exit frees is unknown here.
        """
        instrument, exited = order.instrument, any(whole(each.leg) == CLOSING_LEG for each in self.placed)
        if order.reduce_only or exited or order.order_type in _CONDITIONAL:
            return
        if instrument.market_type is MarketType.SPOT and order.side is Side.SELL:
            code, currency, needed = "insufficient_holdings", instrument.base, order.quantity
            available = sum((each.quantity for each in self.positions(instrument)), Decimal(0))
            if not self._looked_at:
                raise self.no_snapshot_yet()
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
        return self._view.basis.get("price") or self._instruction.market_price
