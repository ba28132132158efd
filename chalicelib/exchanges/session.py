"""An account's line to one market of its exchange.

Every call paced, and repeated where repeating does no harm.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from chalicelib.errors import NotDoable, OutcomeUnknown, Refused, Retryable, TradehookError
from chalicelib.exchanges.adapter import CcxtExchange
from chalicelib.exchanges.market_store import StoredMarkets
from chalicelib.exchanges.markets import StoredMarket, market_from_item
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderState, Position, RateLimited
from chalicelib.exchanges.rate_limiter import Limiter, Patience
from chalicelib.telemetry import Metric, measure
from chalicelib.trading import MarketType, PositionSide

_TRIES = 4
_PAUSE_S = 0.25
_CONDITIONAL_COST = 2  # conditional orders have tighter limits of their own

# What a failed call is counted as; an error of none of these is no fault of the exchange's.
_REACTIONS: tuple[tuple[type[TradehookError], str], ...] = (
    (RateLimited, "rate_limited"),
    (Refused, "refused"),
    (Retryable, "retryable"),
    (OutcomeUnknown, "outcome_unknown"),
)

Result = TypeVar("Result")


class ExchangeSession:
    """One account on one market.

    Attributes:
        late_arrival_s: Seconds after which a request that was sent can have no effect any more.
    """

    def __init__(
        self,
        exchange: CcxtExchange,
        markets: StoredMarkets,
        market_type: MarketType,
        limiter: Limiter,
        patience: Patience,
    ) -> None:
        self._exchange = exchange
        self._markets = markets
        self._market_type = market_type
        self._limiter = limiter
        self._patience = patience
        self._turn = 0  # weight taken for the order that comes next
        self._taken = 0  # and what is left of it while it is placed
        self._sent_at = 0.0  # when the last order left, on the monotonic clock
        self._gap = 0.0  # seconds by which the next one follows it
        exchange.throttle(self._pace)

    @property
    def late_arrival_s(self) -> float:
        """See CcxtExchange."""
        return self._exchange.late_arrival_s

    @property
    def native_oco(self) -> bool:
        """Two orders that cancel each other are placed in one call here, or the second would be refused."""
        return self._exchange.native_oco

    def instrument(self, name: str) -> Instrument:
        """The instrument of this name, suspended ones included. Raises NotDoable `symbol_unknown`."""
        stored: StoredMarket | None = self._markets.get(name)
        if stored is None:
            raise NotDoable("symbol_unknown", symbol=name, market_type=self._market_type.value)
        return market_from_item(self._market_type, stored).instrument

    def is_traded(self, instrument: Instrument) -> bool:
        """Whether the exchange takes orders for it that open."""
        return market_from_item(self._market_type, self._markets[instrument.name]).active

    def last_price(self, instrument: Instrument) -> Decimal:
        """See protocol.Exchange."""
        return self._repeated(lambda exchange: exchange.last_price(instrument))

    def free_and_total(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Every currency's free and total balance."""
        rows = self._repeated(lambda exchange: exchange.balances())
        return {row.currency: (row.free, row.total) for row in rows}

    def positions(self, side: PositionSide | None = None) -> dict[str, Decimal]:
        """Open futures positions, base units, negative if short.

        Those of one side, or both sides of a hedged account added up.
        """
        return total_positions(((row.instrument_name, row.quantity) for row in self.open_positions()), side)

    def open_positions(self) -> Sequence[Position]:
        """Open futures positions; of an account in hedge mode each side by itself."""
        return [row for row in self._repeated(lambda exchange: exchange.positions()) if row.quantity]

    def run(self, call: Callable[[CcxtExchange], Result]) -> Result:
        """Any call that only reads, or that may be repeated."""
        return self._repeated(call)

    def find(self, client_order_id: str, instrument: Instrument, *, trigger: bool) -> OrderState | None:
        """See protocol.Exchange."""
        return self._repeated(lambda exchange: exchange.find(client_order_id, instrument, trigger=trigger))

    def open_orders(self, instrument: Instrument) -> Sequence[OrderState]:
        """See protocol.Exchange."""
        return self._repeated(lambda exchange: exchange.open_orders(instrument))

    def find_by_traces(
        self, sent: OrderState, instrument: Instrument, since: datetime, *, strict: bool
    ) -> OrderState | None:
        """See traces.find. A doubt is Retryable here."""
        return self._repeated(
            lambda exchange: exchange.find_by_traces(sent, instrument, since, strict=strict)
        )

    def prepare(self, order: OrderRequest, *, ahead: int) -> None:
        """Does whatever an order needs before it is claimed.

        The account's settings as it wants them, and its turn under the limits.

        Args:
            ahead: Orders that will follow.
        """
        if self._market_type is MarketType.FUTURES:
            self._repeated(lambda exchange: exchange.prepare(order))
        self.acquire(order, ahead=ahead)

    def acquire(self, order: OrderRequest, *, ahead: int = 0) -> None:
        """Waits until an order may be sent."""
        cost = _CONDITIONAL_COST if order.stop_price is not None else 1
        wait = self._limiter.take("account", cost, ahead=ahead * cost, within=self._patience.left)
        self._gap = cost / self._limiter.limits.orders.per_s if wait else 0.0
        self._patience.wait(wait, "rate_limit")
        self._turn = self._exchange.order_weight
        self._take(self._turn)

    def place(self, order: OrderRequest) -> OrderState:
        """Sends an order, once. Its turn has been taken before. See protocol.Exchange."""
        self._taken, self._turn = self._turn, 0
        # What kept the last order after its turn had come must not bring this one closer to it than the limit
        # allows
        if self._gap:
            self._patience.wait(self._sent_at + self._gap - time.monotonic(), "rate_limit")
        self._sent_at, self._gap = time.monotonic(), 0.0
        try:
            return self._once(lambda exchange: exchange.place(order))
        finally:
            self._taken = 0

    def cancel(self, order: OrderState, instrument: Instrument) -> OrderState:
        """See protocol.Exchange."""
        return self._repeated(lambda exchange: exchange.cancel(order, instrument))

    def _pace(self, weight: int) -> None:
        """Waits until a call of this weight may leave.

        That of an order whose turn has been taken may at once, for it has been claimed.
        """
        covered = min(self._taken, weight)
        self._taken -= covered
        self._take(weight - covered)

    def _take(self, weight: int) -> None:
        if weight:
            self._patience.wait(
                self._limiter.take("address", weight, within=self._patience.left), "rate_limit"
            )

    def _repeated(self, call: Callable[[CcxtExchange], Result]) -> Result:
        for attempt in range(_TRIES):
            try:
                return self._once(call)
            except RateLimited as limited:
                # The bucket has been told, so the next turn comes late enough.
                if attempt == _TRIES - 1:
                    raise
                self._patience.wait(limited.retry_after, "rate_limit")
            except (Retryable, OutcomeUnknown) as fault:
                if attempt == _TRIES - 1:
                    raise Retryable(str(fault)) from None
                self._patience.wait(_PAUSE_S * 2**attempt, "fault")
        raise AssertionError

    def _once(self, call: Callable[[CcxtExchange], Result]) -> Result:
        try:
            return call(self._exchange)
        except TradehookError as error:
            if reaction := next((name for kind, name in _REACTIONS if isinstance(error, kind)), None):
                measure(Metric.EXCHANGE_ERRORS, 1, {"exchange": self._exchange.name, "class": reaction})
                if reaction != "refused":
                    measure(Metric.EXCHANGE_FAULTS, 1, {"exchange": self._exchange.name})
            if isinstance(error, RateLimited):
                self._limiter.back_off(error)
            raise
        finally:
            self._limiter.apply_server_limits(self._exchange.pacing)


def total_positions(
    positions: Iterable[tuple[str, Decimal]], side: PositionSide | None
) -> dict[str, Decimal]:
    """Positions by instrument name, as `Line.positions` gives them."""
    found: dict[str, Decimal] = {}
    for name, quantity in positions:
        if side is None or (quantity > 0) is (side is PositionSide.LONG):
            found[name] = found.get(name, Decimal(0)) + quantity
    return found
