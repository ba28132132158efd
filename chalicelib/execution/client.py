"""The Protocol of an account on which orders are placed: simulated, at an exchange, or a dry run."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from chalicelib.accounts.rates import Rates
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Position, Side
from chalicelib.execution.reference_price import PriceSource
from chalicelib.orders.models import Order
from chalicelib.trading import MarketType, PositionSide, Symbol


class ExecutionClient(Protocol):
    """One account while one signal runs on it.

    Every method may raise `Refused` with an error for the sender, and `Retryable` if nothing has happened
    yet.
    """

    @property
    def rates(self) -> Rates:
        """Trading costs of the account, for sizing with costs included."""
        ...

    @property
    def profits(self) -> Mapping[str | None, Decimal]:
        """Profit realised by this execution so far, net of costs, by strategy.

        In the account's currency. At an exchange, as far as the profit is known.
        """
        ...

    @property
    def exits_hold(self) -> bool:
        """Whether spot exits lock the holdings that they would sell.

        If so, exits must be cancelled before another order can sell.
        """
        ...

    @property
    def manages_exits(self) -> bool:
        """Whether stops move by themselves and exits have no limit of number: on simulated accounts."""
        ...

    def sellable(self, instrument: Instrument, held: Decimal) -> Decimal:
        """Returns the quantity of an order that sells a whole holding, base units.

        At an exchange, a multiple of the quantity step.
        """
        ...

    def instrument(self, symbol: Symbol, market_type: MarketType, near: Decimal | None) -> Instrument:
        """Returns the instrument and its rules. `near` is a price close to the market's, quote per base."""
        ...

    def market_price(self, symbol: Symbol) -> Decimal | None:
        """Returns the price that market orders are sized by, quote per base.

        None if no price is known or if the order has a limit price instead.
        """
        ...

    def current_price(self, symbol: Symbol) -> Decimal | None:
        """Returns the market price, quote per base, also for a limit order. None if no price is known."""
        ...

    @property
    def price_source(self) -> PriceSource | None:
        """Source of the prices. None if no price is known."""
        ...

    def execution_price(self, order: OrderRequest, price: Decimal) -> Decimal:
        """Returns the expected execution price of an order that is sized by `price`, quote per base."""
        ...

    def free(self, instrument: Instrument) -> Decimal:
        """Returns the free quote balance, quote units."""
        ...

    @property
    def insists(self) -> bool:
        """Whether the open rest of a close is retried and, if it stays open, refused.

        False on simulated accounts.
        """
        ...

    def positions(
        self, instrument: Instrument, position_side: PositionSide | None = None
    ) -> Sequence[Position]:
        """Returns the futures positions in an instrument, of one side if `position_side` is given.

        On spot, returns the free holdings as one position.
        """
        ...

    def standing(self, instrument: Instrument, position: Position) -> Decimal:
        """Returns how much of a position is open now, base units without sign."""
        ...

    def exposure(self, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """Returns what an order of this side would add to, base units, and the number of other positions.

        Holdings count as positions. Open orders count with the size that they would add.
        """
        ...

    def place(self, leg: str, order: OrderRequest, percent: Decimal | None = None) -> Order:
        """Places an order exactly once, also across redeliveries."""
        ...

    def claimed(self, leg: str) -> bool:
        """Returns whether an earlier attempt at the same signal has recorded an order under this leg."""
        ...

    def until_ended(self, order: Order) -> Order:
        """Waits until a placed order has ended. Does not wait for an order whose outcome is unknown."""
        ...

    def wait_for_rest(self, attempt: int) -> bool:
        """Waits before the rest of a position is retried. Returns False if no time is left."""
        ...

    def look_again(self) -> None:
        """Reads balance and positions again, so that orders after an exit are sized by the new values."""
        ...

    def protect(self, entry: Order) -> None:
        """Places take-profit and stop-loss for the filled part of an entry.

        Emits `order.protection_failed` if an exit cannot be placed.
        """
        ...

    def open_orders(
        self, group_name: str | None, symbol: Symbol | None, market_type: MarketType | None
    ) -> Sequence[Order]:
        """Returns the account's open orders that match. None matches all.

        Args:
            group_name: The strategy.
            symbol: The symbol.
            market_type: Spot or futures.
        """
        ...

    def cancel(self, order: Order, code: str | None = None) -> bool:
        """Cancels an open order. Returns False if the order had already ended.

        Args:
            code: Reason of a cancel that the user did not request. None for a requested one.
        """
        ...
