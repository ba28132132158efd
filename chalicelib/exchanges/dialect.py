"""What every exchange's module of particulars provides, under the same names."""

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

# How long a request may still take effect after it left: the exchange checks its age (5 s) before matching,
# plus its own time to answer.
RECEIVE_WINDOW_MS = 5_000
LATE_ARRIVAL_S = 15.0


class ExchangeDialect(Protocol):
    """One exchange and market: the requests it understands, and the reading of its replies.

    Methods raise what `Api.read` and `Api.change` raise.
    """

    @property
    def name(self) -> str:
        """The exchange's name."""
        ...

    @property
    def error_rules(self) -> Sequence[Meaning]:
        """See api.Phrasebook."""
        ...

    @property
    def answers_at_once(self) -> bool:
        """The reply to an order tells its state.

        Otherwise it only acknowledges, and the order has to be fetched.
        """
        ...

    @property
    def order_weight(self) -> int:
        """What placing an order weighs, the look at what became of it included."""
        ...

    @property
    def native_oco(self) -> bool:
        """Orders that cancel each other go in one call (`OrderRequest.beside`), or the second would be refused."""
        ...

    def ccxt_name(self) -> str:
        """The ccxt module and class."""
        ...

    def options(self) -> dict[str, Any]:
        """The settings ccxt is made with."""
        ...

    def use_test_environment(self, client: Any) -> None:
        """Turns a ccxt exchange to the exchange's own test environment."""
        ...

    def parse_error(self, reply: Any) -> tuple[str | None, str]:
        """See api.Phrasebook."""
        ...

    def pacing(self, headers: Mapping[str, str]) -> Pacing:
        """See api.Phrasebook."""
        ...

    def weight(self, method: str, parameters: Parameters) -> int:
        """See api.Phrasebook."""
        ...

    def instrument_name(self, market_id: str) -> str:
        """The instrument's name for the exchange's: `BTC-USDT-SWAP` → `BTCUSDT`."""
        ...

    def place(self, api: Api, order: OrderRequest, listing: Listing) -> OrderState:
        """Places an order, one request. Raises outcomes.Duplicate where the client id is taken."""
        ...

    def find(self, api: Api, client_order_id: str, listing: Listing, *, trigger: bool) -> OrderState | None:
        """The order with this client id, None if there is none."""
        ...

    def cancel(self, api: Api, order: OrderState, listing: Listing) -> None:
        """Asks to cancel. Raises outcomes.Absent where the order is not open any more."""
        ...

    def cancel_all(self, api: Api, listing: Listing | None) -> None:
        """Cancels all open orders of the account, or of one instrument; triggers included.

        Nothing open is fine.
        """
        ...

    def open_orders(self, api: Api, listing: Listing | None, listings: Listings) -> Sequence[OrderState]:
        """Open orders, triggers included."""
        ...

    def fills(self, api: Api, order: OrderState, listing: Listing) -> Sequence[Fill]:
        """The trades of an order, oldest first."""
        ...

    def trades(self, api: Api, listing: Listing, side: Side, since: datetime) -> Sequence[Trade]:
        """The account's trades of one side of an instrument since a time, each with its order."""
        ...

    def balances(self, api: Api) -> Sequence[Balance]:
        """Currencies with something in them."""
        ...

    def positions(self, api: Api, listings: Listings) -> Sequence[Position]:
        """Open futures positions."""
        ...

    def last_price(self, api: Api, listing: Listing) -> str:
        """The last traded price, as the exchange writes it."""
        ...

    def tickers(self, api: Api) -> Mapping[str, Ticker]:
        """The public tickers of the whole market by instrument name, in one call. Empty without such a list."""
        ...

    def set_position_mode(self, api: Api, listing: Listing, *, hedged: bool) -> None:
        """Hedge or one-way, if it differs.

        Raises `position_mode_differs` where that holds for the whole account and must stay.
        """
        ...

    def set_margin(
        self, api: Api, listing: Listing, margin_mode: str | None, leverage: int | None, *, hedged: bool
    ) -> None:
        """Margin mode and leverage of an instrument, where they differ."""
        ...

    def permissions(self, api: Api, credentials: Credentials) -> KeyPermissions:
        """What the key may do."""
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
    """A header's whole number, None where it is missing or something else."""
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def is_about_long(side: Side, *, reduce_only: bool) -> bool:
    """Whether an order on a hedged account concerns the long position.

    A buy opens it, a reducing sell closes it.
    """
    return (side is Side.BUY) is not reduce_only


def position_mode_differs(exchange: str, *, hedged: bool) -> NotDoable:
    """The refusal of an order that needs another position mode than the whole account has."""
    if hedged:
        return NotDoable("account_in_one_way_mode", exchange=exchange)
    return NotDoable("account_in_hedge_mode", exchange=exchange)


def new_order_state(order: OrderRequest, exchange_order_id: str) -> OrderState:
    """An order the exchange has taken and not yet told anything about."""
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
