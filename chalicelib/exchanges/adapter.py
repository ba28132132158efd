"""The ccxt adapter: one account on one exchange and market.

This module holds what all exchanges have in common. The dialect builds requests and parses replies.
"""

import importlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, DecimalException
from typing import Any, TypeVar

from chalicelib.errors import NotDoable, OutcomeUnknown, Refused, Retryable
from chalicelib.exchanges import filters, traces, transport
from chalicelib.exchanges.account_settings import AccountSettings
from chalicelib.exchanges.api import Api
from chalicelib.exchanges.dialects.dialect import LATE_ARRIVAL_S, ExchangeDialect
from chalicelib.exchanges.markets import Listing, Listings, MarketLookup
from chalicelib.exchanges.outcomes import Absent, Duplicate, ErrorReply
from chalicelib.exchanges.protocol import (
    Balance,
    Credentials,
    Fill,
    Instrument,
    KeyPermissions,
    OrderRequest,
    OrderState,
    OrderStatus,
    Pacing,
    Position,
)
from chalicelib.trading import MarketType, OrderType

_LOOKS_BACK = timedelta(days=6)
# Errors raised while a reply of an unexpected shape is parsed.
_UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError, DecimalException)

Result = TypeVar("Result")

_importing = (
    threading.Lock()
)  # a full ccxt imports itself in a circle, and a second thread may see a half-imported module


class CcxtExchange:
    """One account on one exchange and market. Implements `protocol.Exchange`.

    Args:
        listings: The stored markets, see `markets.py`.
        timeout: Seconds to connect and to read. None uses the defaults of `transport.py`.
        polls: How often an order is fetched after an exchange has only acknowledged it.
        pause_s: Seconds between these fetches.
        settings: The account's known settings. A worker that caches them per account saves the calls that
            read them.

    Attributes:
        late_arrival_s: Seconds after which a request can no longer take effect.
        pacing: What the last reply said about the limits.
    """

    late_arrival_s = LATE_ARRIVAL_S

    def __init__(
        self,
        dialect: ExchangeDialect,
        market_type: MarketType,
        credentials: Credentials,
        listings: MarketLookup,
        *,
        timeout: tuple[float, float] | None = None,
        polls: int = 4,
        pause_s: float = 0.1,
        settings: AccountSettings | None = None,
    ) -> None:
        self._dialect = dialect
        self._market_type = market_type
        self._credentials = credentials
        self._listings = Listings(market_type, listings)
        self._polls = polls
        self._pause_s = pause_s
        client = connect(dialect, credentials)
        self._api = Api(dialect.name, client, transport.mount(client, timeout), dialect, credentials)
        self._api.settings = AccountSettings() if settings is None else settings

    def __repr__(self) -> str:
        return f"CcxtExchange({self._dialect.name}, {self._market_type.value})"

    @property
    def name(self) -> str:
        """The exchange's name, as in `infra/stack.yaml`."""
        return self._dialect.name

    @property
    def native_oco(self) -> bool:
        """Whether two orders of an OCO group go in one call.

        A conditional order locks what it will sell, so a second order of its own would be refused.
        """
        return self._dialect.native_oco

    @property
    def order_weight(self) -> int:
        """Weight of placing an order in the address's limit, including the query for its result."""
        return self._dialect.order_weight

    @property
    def pacing(self) -> Pacing:
        """What the last reply said about the limits."""
        return self._api.pacing

    def throttle(self, pace: Callable[[int], None]) -> None:
        """Makes every call wait for its turn: `pace` gets the call's weight before the call is sent.

        Raises what `pace` raises. In that case nothing was sent.
        """
        self._api.pace = pace

    def instrument(self, base: str, quote: str) -> Instrument:
        """See `protocol.Exchange`."""
        return self._listings.of(base, quote).instrument

    def last_price(self, instrument: Instrument) -> Decimal:
        """See `protocol.Exchange`."""
        return self._read(lambda: Decimal(self._dialect.last_price(self._api, self._listing(instrument))))

    def balances(self) -> Sequence[Balance]:
        """See `protocol.Exchange`."""
        return self._read(lambda: self._dialect.balances(self._api))

    def positions(self) -> Sequence[Position]:
        """See `protocol.Exchange`. On spot each currency held is a position, named by the currency."""
        if self._market_type is MarketType.FUTURES:
            return self._read(lambda: self._dialect.positions(self._api, self._listings))
        return [
            Position(each.currency, MarketType.SPOT, each.total) for each in self.balances() if each.total
        ]

    def permissions(self) -> KeyPermissions:
        """Returns the key's permissions, as the exchange reports them."""
        return self._read(lambda: self._dialect.permissions(self._api, self._credentials))

    def check_key(self, *, force: bool = False) -> KeyPermissions:
        """Checks a key when an account is added.

        Raises:
            NotDoable: `exchange_key_rejected` if the exchange does not know the key,
                `exchange_key_cannot_trade`, and `exchange_key_may_withdraw` unless forced.
        """
        permissions = self.permissions()
        if not permissions.trade:
            raise NotDoable("exchange_key_cannot_trade", exchange=self._dialect.name)
        if permissions.withdraw and not force:
            raise NotDoable("exchange_key_may_withdraw", exchange=self._dialect.name)
        return permissions

    def place(self, order: OrderRequest) -> OrderState:
        """See `protocol.Exchange`. Sets position mode, margin mode and leverage first if they differ.

        Raises:
            NotDoable: A filter (see `filters.check`) or the exchange refuses the order.
        """
        filters.check(order)
        if order.post_only and order.order_type is not OrderType.LIMIT:
            raise NotDoable("post_only_needs_limit", order_type=order.order_type.value)
        listing = self._listing(order.instrument)
        if not listing.active and not order.reduce_only:
            raise NotDoable("symbol_not_traded", symbol=order.instrument.name)
        if self._market_type is MarketType.FUTURES:
            self.prepare(order)
        try:
            state = self._change(lambda: self._dialect.place(self._api, order, listing), (Duplicate,))
        except Duplicate:
            return self._found_duplicate(order, listing)
        except Refused:
            # The cause may be a setting that was changed by hand. The next order reads the settings again.
            self._api.settings.forget()
            raise
        return state if self._dialect.answers_at_once else self._follow(state, order, listing)

    def prepare(self, order: OrderRequest) -> None:
        """Sets position mode, margin mode and leverage as an order needs them, if they differ.

        An order that reduces changes no setting: it must not fail because of a setting that does not concern
        it. Settings of the whole account change only with the owner's permission (`manage_account_modes`).

        Raises:
            NotDoable: The exchange refuses a setting, or the account is in another mode than the order needs.
            Retryable: Also if it is unknown whether a setting has changed. Nothing was placed, and setting it
                again is harmless.
        """
        if order.reduce_only:
            return
        listing = self._listing(order.instrument)
        margin = (order.margin_mode, order.leverage)
        prepared, wanted = self._api.settings.prepared, (listing.market_id, order.hedged, *margin)
        if wanted in prepared or (not any(margin) and any(known[:2] == wanted[:2] for known in prepared)):
            return
        try:
            self._change(lambda: self._dialect.set_position_mode(self._api, listing, hedged=order.hedged))
            if any(margin):
                self._change(
                    lambda: self._dialect.set_margin(self._api, listing, *margin, hedged=order.hedged)
                )
        except OutcomeUnknown as error:
            raise Retryable(f"{error} (while preparing the account)") from None
        # The new settings may replace known settings of this market or of the whole account.
        prepared -= {known for known in prepared if _has_conflict(known, wanted)}
        prepared.add(wanted)

    def find(self, client_order_id: str, instrument: Instrument, *, trigger: bool) -> OrderState | None:
        """See `protocol.Exchange`. A trigger order that has fired is returned as the order it became."""
        listing = self._listing(instrument)
        try:
            return self._read(
                lambda: self._dialect.find(self._api, client_order_id, listing, trigger=trigger),
                (Absent,),
            )
        except Absent:
            return None

    def find_by_traces(
        self, sent: OrderState, instrument: Instrument, since: datetime, *, strict: bool
    ) -> OrderState | None:
        """Searches an order that `find` does not show. See `traces.find`.

        Looks back six days at most, because exchanges limit the range to seven.
        """
        listing = self._listing(instrument)
        since = max(since, datetime.now(UTC) - _LOOKS_BACK)
        return self._read(
            lambda: traces.find(self._dialect, self._api, listing, self._listings, sent, since, strict=strict)
        )

    def cancel(self, order: OrderState, instrument: Instrument) -> OrderState:
        """See `protocol.Exchange`. Idempotent.

        Raises:
            NotDoable: `exchange_never_arrived`: the order's outcome was unknown, and it was not placed.
            Retryable: Also if the exchange does not find an order that it took a moment ago.
        """
        listing = self._listing(instrument)
        accepted = True
        try:
            self._change(lambda: self._dialect.cancel(self._api, order, listing), (Absent,))
        except Absent:
            accepted = False
        polls = self._polls if accepted else 1
        state = self._poll(
            order.client_order_id,
            listing,
            polls,
            trigger=order.trigger or _is_conditional(order.order_type),
            final=True,
        )
        if state is not None:
            return state
        if accepted and order.trigger:
            # The order's query does not show it yet. It was waiting, so it has no fills.
            return replace(order, status=OrderStatus.CANCELLED)
        if order.updated_at and datetime.now(UTC) - order.updated_at < timedelta(
            seconds=4 * self.late_arrival_s
        ):
            raise Retryable(
                f"{self._dialect.name}: order to cancel not found, too young to have been dropped"
            )
        if order.status is OrderStatus.UNKNOWN:
            raise NotDoable("exchange_never_arrived")
        # Exchanges drop unfilled orders after hours or days. Nothing is open under this id, which is all that
        # a cancel guarantees.
        return replace(order, status=OrderStatus.CANCELLED)

    def cancel_all(self, instrument: Instrument | None = None) -> None:
        """Cancels every open order of the account and market, conditional orders included. Idempotent.

        Args:
            instrument: Cancels only this instrument's orders. None cancels all.
        """
        listing = None if instrument is None else self._listing(instrument)
        self._change(lambda: self._dialect.cancel_all(self._api, listing))

    def open_orders(self, instrument: Instrument | None = None) -> Sequence[OrderState]:
        """See `protocol.Exchange`."""
        listing = None if instrument is None else self._listing(instrument)
        return self._read(lambda: self._dialect.open_orders(self._api, listing, self._listings))

    def fills(self, order: OrderState, instrument: Instrument) -> Sequence[Fill]:
        """Returns the trades of an order with their fees, oldest first. Empty before the first trade."""
        return self._read(lambda: self._dialect.fills(self._api, order, self._listing(instrument)))

    def _listing(self, instrument: Instrument) -> Listing:
        return self._listings.of(instrument.base, instrument.quote)

    def _found_duplicate(self, order: OrderRequest, listing: Listing) -> OrderState:
        """Returns the order that already has this client order id: an earlier send of ours got through."""
        try:
            state = self._poll_sent(order, listing)
        except (Retryable, Refused):
            state = None
        if state is None:
            raise OutcomeUnknown(f"{self._dialect.name}: client order id taken, order not found")
        return state

    def _follow(self, placed: OrderState, order: OrderRequest, listing: Listing) -> OrderState:
        """Returns the order as the exchange shows it, or as acknowledged if it does not show it in time."""
        try:
            state = self._poll_sent(order, listing)
        except (Retryable, Refused):
            # The order has been placed, even if the query failed.
            return placed
        return state or placed

    def _poll_sent(self, order: OrderRequest, listing: Listing) -> OrderState | None:
        """Returns an order that was sent. None if the exchange does not show it in time."""
        return self._poll(
            order.client_order_id,
            listing,
            self._polls,
            trigger=_is_conditional(order.order_type),
            final=order.order_type is OrderType.MARKET,
        )

    def _poll(
        self, client_order_id: str, listing: Listing, polls: int, *, trigger: bool, final: bool
    ) -> OrderState | None:
        state = None
        for attempt in range(polls):
            if attempt:
                time.sleep(self._pause_s)
            state = self.find(client_order_id, listing.instrument, trigger=trigger)
            if state is not None and (state.status.final or not final):
                break
        return state

    def _read(self, call: Callable[[], Result], expected: tuple[type[ErrorReply], ...] = ()) -> Result:
        try:
            return call()
        except expected:
            raise
        except (ErrorReply, *_UNREADABLE) as error:
            raise Retryable(self._unexpected_reply(error)) from None

    def _change(self, call: Callable[[], Result], expected: tuple[type[ErrorReply], ...] = ()) -> Result:
        try:
            return call()
        except expected:
            raise
        except Duplicate as fault:
            raise OutcomeUnknown(self._unexpected_reply(fault)) from None
        except ErrorReply as fault:
            raise NotDoable(
                "exchange_refused", exchange=fault.exchange, exchange_code=fault.code, reason=fault.reason
            ) from None
        except _UNREADABLE as error:
            raise OutcomeUnknown(self._unexpected_reply(error)) from None

    def _unexpected_reply(self, error: Exception) -> str:
        # Only the error's type: its text may repeat the reply.
        return f"{self._dialect.name}: unexpected reply, {type(error).__name__}"


def connect(dialect: ExchangeDialect, credentials: Credentials | None) -> Any:
    """Returns a ccxt exchange, without credentials for public data. Sends no request."""
    name = dialect.ccxt_name()
    with _importing:
        # The build contains only the configured exchanges' modules, and importing all of ccxt takes 1.5 s.
        module = importlib.import_module(f"ccxt.{name}")
    client = getattr(module, name)(
        {
            # Text instead of floats wherever ccxt itself converts.
            "number": str,
            # ccxt's throttle knows only its own process. `rate_limiter.py` is shared by all workers.
            "enableRateLimit": False,
            "enableLastHttpResponse": False,
            # The code of a failed reply is read from here.
            "enableLastJsonResponse": True,
            "enableLastResponseHeaders": True,
            "options": {"maxRetriesOnFailure": 0},
        }
    )
    client.options = client.deep_extend(client.options, dialect.options())
    if credentials is not None:
        client.apiKey, client.secret, client.password = (
            credentials.api_key,
            credentials.secret,
            credentials.passphrase,
        )
        if credentials.demo:
            dialect.use_test_environment(client)
    return client


def _has_conflict(known: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    """Returns whether known settings (market, hedged, margin mode, leverage) contradict the new ones."""
    (market, hedged, mode, leverage), (new_market, new_hedged, new_mode, new_leverage) = known, wanted
    margin = (new_mode, new_leverage) != (None, None) and (mode, leverage) != (None, None)
    same_market = market == new_market and (mode, leverage) != (new_mode, new_leverage)
    return hedged != new_hedged or (margin and (same_market or mode != new_mode))


def _is_conditional(order_type: OrderType) -> bool:
    return order_type in {OrderType.STOP_LIMIT, OrderType.STOP_MARKET}
