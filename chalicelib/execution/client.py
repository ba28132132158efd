"""Where an account's orders are placed: what `trade` asks of a paper book and of a real exchange alike."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from chalicelib.accounts.rates import Rates
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Position, Side
from chalicelib.execution.reference_price import PriceSource
from chalicelib.orders.models import Order
from chalicelib.trading import MarketType, PositionSide, Symbol


class ExecutionClient(Protocol):
    """One account, while one signal runs on it.

    Every method may raise `Refused` with what the sender should be told, and `Retryable` when nothing has
    happened yet.
    """

    @property
    def rates(self) -> Rates:
        """What trading costs here, for sizing with costs included."""
        ...

    @property
    def profits(self) -> Mapping[str | None, Decimal]:
        """What was realised here so far, costs taken off, in the account's currency, by the strategy the orders belong to.

        At an exchange as far as it is known.
        """
        ...

    @property
    def exits_hold(self) -> bool:
        """Whether spot exits hold what they would sell, so that they must go before anything else can sell it."""
        ...

    def sellable(self, instrument: Instrument, held: Decimal) -> Decimal:
        """What an order that sells all of a holding may ask for: at an exchange a multiple of the step."""
        ...

    def instrument(self, symbol: Symbol, market_type: MarketType, near: Decimal | None) -> Instrument:
        """The instrument and its rules; `near` is a price of about its size, quote per base."""
        ...

    def market_price(self, symbol: Symbol) -> Decimal | None:
        """The price that market orders are sized by, quote per base.

        None if none is known or the order has a limit instead.
        """
        ...

    def current_price(self, symbol: Symbol) -> Decimal | None:
        """The market price, quote per base, for a limit order too; None if none is known."""
        ...

    @property
    def price_source(self) -> PriceSource | None:
        """Where these prices come from; None if none is known."""
        ...

    def execution_price(self, order: OrderRequest, price: Decimal) -> Decimal:
        """What an order that is sized by `price` will trade at, as far as that is known before it trades."""
        ...

    def free(self, instrument: Instrument) -> Decimal:
        """Free quote balance."""
        ...

    @property
    def insists(self) -> bool:
        """What a closing order leaves open is tried again, and in the end refused.

        Not so on simulated accounts.
        """
        ...

    def positions(
        self, instrument: Instrument, position_side: PositionSide | None = None
    ) -> Sequence[Position]:
        """The futures positions in an instrument, of one side if it is given.

        On spot the free holdings, as one.
        """
        ...

    def standing(self, instrument: Instrument, position: Position) -> Decimal:
        """What of a position stands now, base units without sign."""
        ...

    def exposure(self, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """What an order of this side would add to, base units, and how many other positions and holdings there are.

        Open orders count with what they will add or make.
        """
        ...

    def place(self, leg: str, order: OrderRequest, percent: Decimal | None = None) -> Order:
        """Places an order, once, whatever happens."""
        ...

    def claimed(self, leg: str) -> bool:
        """Whether an earlier attempt at the same signal has claimed an order under this leg."""
        ...

    def until_ended(self, order: Order) -> Order:
        """Waits for a placed order's end; one whose outcome is unknown is not waited for."""
        ...

    def wait_for_rest(self, attempt: int) -> bool:
        """Waits before the rest of a position is tried again; False when there is no time left."""
        ...

    def look_again(self) -> None:
        """Has what follows an exit sized by what is free and held then."""
        ...

    def protect(self, entry: Order) -> None:
        """Places take-profit and stop-loss for what an order has opened so far.

        What cannot be placed is told by an event.
        """
        ...

    def open_orders(
        self, group_name: str | None, symbol: Symbol | None, market_type: MarketType | None
    ) -> Sequence[Order]:
        """The account's open orders.

        Of one strategy or of all, of one symbol or of all, of one market or of both.
        """
        ...

    def cancel(self, order: Order, code: str | None = None) -> bool:
        """Cancels an open order; False if it had ended already.

        `code` says why, where nobody asked for it.
        """
        ...
