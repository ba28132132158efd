"""Desks on which a dry run trades.

They say what would become of each order, and place, claim and write nothing.

On a simulated account that is the book itself, in memory. For an account at an exchange it is the account as
last seen, see last_seen.py: sized like a real run, and held against the exchange's rules and the free
balance. The exchange itself is never asked. What only it knows (its own risk limits, its answer to a stop
that would fire at once) it may still refuse.
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


class DryRunExecution(LiveExecution):
    """An account at an exchange, as last seen.

    One that has not been looked at yet is taken to hold nothing, and to have enough to open.

    Attributes:
        instrument_used: The instrument that was asked for.
        missing: Something was asked for that is not stored, so what it says is not the whole truth.

    Raises:
        NotDoable: `no_snapshot_yet`, where it cannot go on without that.
    """

    instrument_used: Instrument | None = None

    def __init__(
        self, account: Account, instruction: Instruction, snapshot: aws.Item | None, price: Decimal | None
    ) -> None:
        """Takes what is stored.

        Args:
            snapshot: The account's last one, if there is one.
            price: The last known price of the instruction's symbol, quote per base.
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
        """The instrument from the stored metadata."""
        try:
            self.instrument_used = super().instrument(symbol, market_type, near)
        except Retryable:  # the market's metadata has never been fetched
            raise self.no_snapshot_yet() from None
        return self.instrument_used

    def market_price(self, symbol: Symbol) -> Decimal | None:
        """The last known price. Without one the signal's own, which a run would not use.

        So `missing` says that it may differ.
        """
        price = super().market_price(symbol)
        if price is None and self._instruction.market_price is not None:
            self.missing = True
            return self._instruction.market_price
        return price

    def current_price(self, symbol: Symbol) -> Decimal | None:
        """The last known price; None if there is none."""
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
        """The last price known, else the signal."""
        if "price" in self._view.basis:
            return PriceSource.LAST_SEEN
        return PriceSource.SIGNAL if self._instruction.market_price is not None else None

    def free(self, instrument: Instrument) -> Decimal:
        """Free quote balance. Without one, first what keeps an order from being opened whatever its size."""
        if not self._looked_at:
            self.recheck_risk()
            raise self.no_snapshot_yet()
        return super().free(instrument)

    def positions(
        self, instrument: Instrument, position_side: PositionSide | None = None
    ) -> Sequence[Position]:
        """The positions, or the free holdings."""
        self.missing |= not self._looked_at
        return super().positions(instrument, position_side)

    def claimed(self, leg: str) -> bool:  # noqa: ARG002
        """Never: a dry run has no earlier attempts."""
        return False

    def exposure(self, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """Position or holdings of one side, with the ledger's open orders that would add to it."""
        self.missing |= not self._looked_at
        return super().exposure(instrument, side)

    def no_snapshot_yet(self) -> NotDoable:
        """The refusal that says so."""
        self.missing = True
        return NotDoable("no_snapshot_yet", account=self._account.name, exchange=self._account.exchange)

    def place(self, leg: str, order: OrderRequest, percent: Decimal | None = None) -> Order:
        """The order as it would be placed; one at market as it would fill, at the price it was reckoned with.

        Raises:
            NotDoable: The rule of the exchange that it breaks, or `insufficient_funds`,
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

    def _reappeared(self, written_off: Sequence[Order]) -> list[Order]:  # noqa: ARG002
        """None: the exchange is not asked."""
        return []

    def _afford(self, order: OrderRequest) -> None:
        """Holds an order against what is free, with the orders before it.

        A conditional order needs nothing until it fires. After an exit it is not known here what that has set
        free.
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
