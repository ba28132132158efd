"""An exchange session: rate-limited calls for one account on one market, retried if a retry is harmless."""

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

# Metric class of a failed call. Other errors are not the exchange's fault.
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
        late_arrival_s: Seconds after which a request can no longer take effect.
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
        self._turn = 0  # weight taken for the next order
        self._taken = 0  # rest of that weight while the order is placed
        self._sent_at = 0.0  # when the last order was sent, on the monotonic clock
        self._gap = 0.0  # least seconds between the last order and the next
        exchange.throttle(self._pace)

    @property
    def late_arrival_s(self) -> float:
        """See `CcxtExchange`."""
        return self._exchange.late_arrival_s

    @property
    def native_oco(self) -> bool:
        """Whether two orders of an OCO group go in one call, because the second alone would be refused."""
        return self._exchange.native_oco

    def instrument(self, name: str) -> Instrument:
        """Returns the instrument of this name, suspended ones included.

        Raises:
            NotDoable: `symbol_unknown`.
        """
        stored: StoredMarket | None = self._markets.get(name)
        if stored is None:
            raise NotDoable("symbol_unknown", symbol=name, market_type=self._market_type.value)
        return market_from_item(self._market_type, stored).instrument

    def is_traded(self, instrument: Instrument) -> bool:
        """Returns whether the exchange takes opening orders for the instrument."""
        stored = self._markets.get(instrument.name)
        return stored is not None and market_from_item(self._market_type, stored).active

    def last_price(self, instrument: Instrument) -> Decimal:
        """See `protocol.Exchange`."""
        return self._call_with_retries(lambda exchange: exchange.last_price(instrument))

    def free_and_total(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Returns every currency's free and total balance."""
        rows = self._call_with_retries(lambda exchange: exchange.balances())
        return {row.currency: (row.free, row.total) for row in rows}

    def positions(self, side: PositionSide | None = None) -> dict[str, Decimal]:
        """Returns the open futures positions by instrument, base units, negative if short.

        Args:
            side: Returns only this side. None adds up both sides of a hedged account.
        """
        return total_positions(((row.instrument_name, row.quantity) for row in self.open_positions()), side)

    def open_positions(self) -> Sequence[Position]:
        """Returns the open futures positions. In hedge mode each side is a position."""
        return [row for row in self._call_with_retries(lambda exchange: exchange.positions()) if row.quantity]

    def run(self, call: Callable[[CcxtExchange], Result]) -> Result:
        """Makes a call that only reads or that may be repeated. Retries it if it fails."""
        return self._call_with_retries(call)

    def find(self, client_order_id: str, instrument: Instrument, *, trigger: bool) -> OrderState | None:
        """See `protocol.Exchange`."""
        return self._call_with_retries(
            lambda exchange: exchange.find(client_order_id, instrument, trigger=trigger)
        )

    def open_orders(self, instrument: Instrument) -> Sequence[OrderState]:
        """See `protocol.Exchange`."""
        return self._call_with_retries(lambda exchange: exchange.open_orders(instrument))

    def find_by_traces(
        self, sent: OrderState, instrument: Instrument, since: datetime, *, strict: bool
    ) -> OrderState | None:
        """See `traces.find`. An uncertain result raises Retryable."""
        return self._call_with_retries(
            lambda exchange: exchange.find_by_traces(sent, instrument, since, strict=strict)
        )

    def prepare(self, order: OrderRequest, *, ahead: int) -> None:
        """Prepares an order before it is recorded: sets the account's settings and takes its rate limit.

        Args:
            ahead: Number of orders that will follow.
        """
        if self._market_type is MarketType.FUTURES:
            self._call_with_retries(lambda exchange: exchange.prepare(order))
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
        """Sends an order once. `acquire` must come first. See `protocol.Exchange`."""
        self._taken, self._turn = self._turn, 0
        # If the last order was sent late, this order must still keep the limit's distance to it.
        if self._gap:
            self._patience.wait(self._sent_at + self._gap - time.monotonic(), "rate_limit")
        self._sent_at, self._gap = time.monotonic(), 0.0
        try:
            return self._call_once(lambda exchange: exchange.place(order))
        finally:
            self._taken = 0

    def cancel(self, order: OrderState, instrument: Instrument) -> OrderState:
        """See `protocol.Exchange`."""
        return self._call_with_retries(lambda exchange: exchange.cancel(order, instrument))

    def _pace(self, weight: int) -> None:
        """Waits until a call of this weight may be sent.

        The calls of an acquired order are sent at once, because the order has been recorded.
        """
        covered = min(self._taken, weight)
        self._taken -= covered
        self._take(weight - covered)

    def _take(self, weight: int) -> None:
        if weight:
            self._patience.wait(
                self._limiter.take("address", weight, within=self._patience.left), "rate_limit"
            )

    def _call_with_retries(self, call: Callable[[CcxtExchange], Result]) -> Result:
        for attempt in range(_TRIES):
            try:
                return self._call_once(call)
            except RateLimited as limited:
                # The limiter has recorded the back-off, so the next turn comes late enough.
                if attempt == _TRIES - 1:
                    raise
                self._patience.wait(limited.retry_after, "rate_limit")
            except (Retryable, OutcomeUnknown) as fault:
                if attempt == _TRIES - 1:
                    raise Retryable(str(fault)) from None
                self._patience.wait(_PAUSE_S * 2**attempt, "fault")
        raise AssertionError

    def _call_once(self, call: Callable[[CcxtExchange], Result]) -> Result:
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
    """Returns positions by instrument name, as `ExchangeSession.positions` does."""
    found: dict[str, Decimal] = {}
    for name, quantity in positions:
        if side is None or (quantity > 0) is (side is PositionSide.LONG):
            found[name] = found.get(name, Decimal(0)) + quantity
    return found
