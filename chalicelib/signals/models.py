"""A signal: a request to trade, in one form for every variant. Immutable, no I/O."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from chalicelib.trading import (
    Action,
    ExitFields,
    Leg,
    MarketType,
    OnExpiry,
    OrderType,
    PositionSide,
    Size,
    Symbol,
    TimeInForce,
    Unit,
    Variant,
)


class Signal(ExitFields):
    """A request to trade.

    Attributes:
        market_type: The market. None leaves it to the user's settings.
        size: How much. None if the user's settings or `legs` size the order. For a close, the maximum size.
            None closes the whole position.
        price: Reference price (paper fills, slippage guard), or the limit price if `order_type` has a limit.
        stop_price: Trigger price of stop orders, quote per base.
        time_in_force: Of the order. None leaves the exchange's default.
        reduce_only: The order may only reduce a position.
        post_only: The limit order never takes liquidity.
        take_profit: Where to close with a profit after the entry has filled.
        stop_loss: Where to close with a loss after the entry has filled.
        take_profits: Several take-profits, each for a share of the position.
        break_even_after: When the stop-loss moves to the entry.
        trailing_stop: A stop that follows the best price.
        risk_percent: Maximum loss at the stop-loss, in percent of the free balance. Only reduces the order.
        risk_unreadable: The body has a risk that is no number.
        expires_in_s: Seconds after which a resting order ends. None for never.
        on_expiry: What happens with the rest of an order that expires.
        exit_after_s: Seconds from the first fill to the close of what the order opened. None for never.
        position_side: The position meant in hedge mode. None is one-way mode.
        legs: The orders of a group signal: one, or several for a batch. Empty for other variants.
        batch: The body has an `orders` list, so the answer is that of a batch even for a single leg.
        exchange: The exchange in the body, `binance`. For a cancel a filter, as `market_type` and `symbol`.
            None means all.
        currency: The quote currency in the body, upper case.
        account: Name of the account that the body names. None if it names none.
        demo: Trade on demo accounts only. Always set for xc, where only an explicit NO is False. Otherwise
            None if the body says nothing.
        sent_at: When the sender sent the signal (`timestamp`, `timenow`), UTC.
        max_age_s: Age in seconds after which the signal opens nothing (`max_lag`, `max_age`). None leaves it
            to the settings.
        idempotency_key: The sender's own key for this signal (`alert_id`, `idempotency_key`).
        market_position: TradingView's `strategy.market_position` after the alert's order, `long`, `short` or
            `flat`. `prev_market_position` is the position before. Their sizes are absolute, in base units.
        leverage: The leverage in the body. None leaves it to the user's settings.
        ordered: The order's own action if `market_position: flat` made the signal a close. On spot, a
            purchase that leads to flat does nothing. None otherwise.
        unknown: Unknown keys, and known keys without meaning for this variant, as sent with credentials
            masked.
    """

    variant: Variant
    action: Action
    symbol: Symbol | None = None
    market_type: MarketType | None = None
    order_type: OrderType = OrderType.MARKET
    size: Size | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool = False
    post_only: bool = False
    risk_percent: Decimal | None = None
    risk_unreadable: bool = False
    expires_in_s: int | None = None
    on_expiry: OnExpiry = OnExpiry.CANCEL
    exit_after_s: int | None = None
    position_side: PositionSide | None = None
    legs: tuple[Leg, ...] = ()
    batch: bool = False
    exchange: str | None = None
    currency: str | None = None
    group_name: str | None = None
    account: str | None = None
    strategy_id: str | None = None
    demo: bool | None = None
    sent_at: datetime | None = None
    max_age_s: Decimal | None = None
    idempotency_key: str | None = None
    market_position: str | None = None
    prev_market_position: str | None = None
    market_position_size: Decimal | None = None
    prev_market_position_size: Decimal | None = None
    leverage: int | None = None
    ordered: Action | None = None
    unknown: dict[str, Any] = Field(default_factory=dict)

    @property
    def shrinks(self) -> bool:
        """Whether a `long` or `short` leaves a smaller position than before, so that it reduces."""
        after, before = self.market_position_size, self.prev_market_position_size
        if self.action not in (Action.LONG, Action.SHORT) or after is None or before is None:
            return False
        return after < before and self.prev_market_position in (None, self.action.value)

    @property
    def quantity(self) -> Decimal | None:
        """Base units requested. None if another unit or another field sizes the order."""
        return self.size.amount if self.size and self.size.unit is Unit.BASE else None
