"""The Protocol of an exchange dialect, which each exchange's module implements."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from chalicelib.errors import NotDoable
from chalicelib.exchanges.api import Api, Parameters
from chalicelib.exchanges.markets import Listing, Listings
from chalicelib.exchanges.outcomes import Meaning
from chalicelib.exchanges.protocol import (
    Balance,
    Credentials,
    Fill,
    KeyPermissions,
    OrderRequest,
    OrderState,
    OrderStatus,
    Pacing,
    Position,
    Side,
    Ticker,
    Trade,
)
from chalicelib.exchanges.wire import positive

# Time in which a sent request may still take effect: the exchange checks its age (5 s) before matching, plus
# the exchange's own time to answer.
RECEIVE_WINDOW_MS = 5_000
LATE_ARRIVAL_S = 15.0


class ExchangeDialect(Protocol):
    """One exchange and market: builds its requests and parses its replies.

    Methods raise what `Api.read` and `Api.change` raise.
    """

    @property
    def name(self) -> str:
        """The exchange's name."""
        ...

    @property
    def error_rules(self) -> Sequence[Meaning]:
        """See `api.ErrorRules`."""
        ...

    @property
    def answers_at_once(self) -> bool:
        """Whether the reply to an order contains its state.

        If not, the reply only acknowledges the order, and its state must be fetched.
        """
        ...

    @property
    def order_weight(self) -> int:
        """Weight of placing an order, including the query for its result."""
        ...

    @property
    def native_oco(self) -> bool:
        """Whether orders of an OCO group go in one call (`OrderRequest.oco_sibling`).

        If so, the exchange would refuse the second order alone.
        """
        ...

    def ccxt_name(self) -> str:
        """The ccxt module and class."""
        ...

    def options(self) -> dict[str, Any]:
        """The settings that ccxt is created with."""
        ...

    def use_test_environment(self, client: Any) -> None:
        """Switches a ccxt exchange to the exchange's own test environment."""
        ...

    def parse_error(self, reply: Any) -> tuple[str | None, str]:
        """See `api.ErrorRules`."""
        ...

    def pacing(self, headers: Mapping[str, str]) -> Pacing:
        """See `api.ErrorRules`."""
        ...

    def weight(self, method: str, parameters: Parameters) -> int:
        """See `api.ErrorRules`."""
        ...

    def instrument_name(self, market_id: str) -> str:
        """Returns our name of the exchange's instrument: `BTC-USDT-SWAP` → `BTCUSDT`."""
        ...

    def place(self, api: Api, order: OrderRequest, listing: Listing) -> OrderState:
        """Places an order with one request.

        Raises:
            outcomes.Duplicate: The client order id is taken.
        """
        ...

    def find(self, api: Api, client_order_id: str, listing: Listing, *, trigger: bool) -> OrderState | None:
        """Returns the order with this client order id. None if there is none."""
        ...

    def cancel(self, api: Api, order: OrderState, listing: Listing) -> None:
        """Requests a cancel.

        Raises:
            outcomes.Absent: The order is no longer open.
        """
        ...

    def cancel_all(self, api: Api, listing: Listing | None) -> None:
        """Cancels all open orders of the account or of one instrument, trigger orders included.

        Idempotent.
        """
        ...

    def open_orders(self, api: Api, listing: Listing | None, listings: Listings) -> Sequence[OrderState]:
        """Returns the open orders, trigger orders included."""
        ...

    def fills(self, api: Api, order: OrderState, listing: Listing) -> Sequence[Fill]:
        """Returns the trades of an order, oldest first."""
        ...

    def trades(self, api: Api, listing: Listing, side: Side, since: datetime) -> Sequence[Trade]:
        """Returns the account's trades on one side of an instrument since a time, each with its order."""
        ...

    def balances(self, api: Api) -> Sequence[Balance]:
        """Returns the currencies with a balance."""
        ...

    def positions(self, api: Api, listings: Listings) -> Sequence[Position]:
        """Returns the open futures positions."""
        ...

    def last_price(self, api: Api, listing: Listing) -> str:
        """Returns the last traded price, as the exchange writes it."""
        ...

    def tickers(self, api: Api) -> Mapping[str, Ticker]:
        """Returns the public tickers of the whole market by instrument name, in one call. May be empty."""
        ...

    def set_position_mode(self, api: Api, listing: Listing, *, hedged: bool) -> None:
        """Sets hedge or one-way mode if it differs.

        Raises `position_mode_differs` if the mode applies to the whole account and may not change.
        """
        ...

    def set_margin(
        self, api: Api, listing: Listing, margin_mode: str | None, leverage: int | None, *, hedged: bool
    ) -> None:
        """Sets margin mode and leverage of an instrument if they differ."""
        ...

    def permissions(self, api: Api, credentials: Credentials) -> KeyPermissions:
        """Returns the key's permissions."""
        ...


def tickers_by_name(
    rows: Iterable[Mapping[str, Any]],
    name: Callable[[Mapping[str, Any]], str],
    last: str,
    high: str,
    low: str,
) -> dict[str, Ticker]:
    """Rows of a ticker list by instrument name.

    A row without a last price has never traded, and is left out.

    Args:
        last, high, low: The fields that hold them.
    """
    return {
        name(row): Ticker(price, positive(row.get(high)), positive(row.get(low)))
        for row in rows
        if (price := positive(row.get(last)))
    }


def number(value: str | None) -> int | None:
    """Returns the whole number in a header. None if it is missing or not a number."""
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def is_about_long(side: Side, *, reduce_only: bool) -> bool:
    """Returns whether an order on a hedged account concerns the long position.

    A buy opens it, a reducing sell closes it.
    """
    return (side is Side.BUY) is not reduce_only


def position_mode_differs(exchange: str, *, hedged: bool) -> NotDoable:
    """Returns the refusal of an order that needs another position mode than the account's."""
    if hedged:
        return NotDoable("account_in_one_way_mode", exchange=exchange)
    return NotDoable("account_in_hedge_mode", exchange=exchange)


def new_order_state(order: OrderRequest, exchange_order_id: str) -> OrderState:
    """Returns the state of an order that the exchange has taken without reporting a state yet."""
    return OrderState(
        client_order_id=order.client_order_id,
        exchange_order_id=str(exchange_order_id),
        status=OrderStatus.OPEN,
        instrument_name=order.instrument.name,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        stop_price=order.stop_price,
        trigger=order.stop_price is not None,
        updated_at=datetime.now(UTC),
    )
