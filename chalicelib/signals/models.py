"""A signal: what a sender asks for, in one form for every variant. Immutable, no I/O."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from chalicelib.trading import (
    Action,
    Frozen,
    Leg,
    MarketType,
    OrderType,
    PositionSide,
    Size,
    Symbol,
    TimeInForce,
    Unit,
    Variant,
)


class Signal(Frozen):
    """What a sender asks for.

    Attributes:
        market_type: Where to trade, if the body says so; else the owner's settings do.
        size: How much. None where the owner's settings or `legs` size the order. Of a close it is the most
            that is closed; None closes the whole position.
        price: Reference price (paper fills, slippage guard), or the limit price where `order_type` says so.
        stop_price: Trigger price of stop orders, quote per base.
        time_in_force: Of the order; None leaves the exchange's default. Likewise `post_only`.
        reduce_only: The order may only make a position smaller.
        take_profit: Price at which to close with a profit once the order has filled; `stop_loss` likewise
            with a loss.
        risk_percent: The share of the free balance that is lost at the stop-loss, at most; it makes the order
            smaller, never larger.
        position_side: In hedge mode, which of the two positions is meant; None is one-way mode.
        legs: The orders of a group signal: one, or several for a batch. Empty for the other variants.
        batch: The body had an `orders` list, so the answer is the batch one even for a single leg.
        exchange: The exchange named in the body, `binance`. For a cancel a filter, as `market_type` and
            `symbol` are; None means all.
        currency: The quote currency named in the body, upper case.
        account: Name of the paper account it is for.
        demo: Trade on demo accounts only. Always set for xc, where only an explicit NO is False; else None if
            the body says nothing.
        sent_at: When the sender says it sent it (`timestamp`, `timenow`), UTC.
        max_age_s: After so many seconds the sender wants it to open nothing (`max_lag`, `max_age`); None
            leaves it to the settings.
        idempotency_key: The sender's own key for this signal (`alert_id`, `idempotency_key`).
        market_position: TradingView's `strategy.market_position` after the alert's order, `long`, `short` or
            `flat`; `prev_market_position` the one before it. Their sizes are absolute, in base units.
        leverage: The leverage the body asks for; None leaves it to the owner's settings.
        ordered: What the order itself says where `market_position: flat` made the signal a close: on spot a
            purchase that leads to flat does nothing. None otherwise.
        unknown: Keys nobody here knows, and known ones that mean nothing to this variant, kept as they came;
            credentials masked.
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
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    risk_percent: Decimal | None = None
    risk_unreadable: bool = False
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
        """Whether a `long` or `short` leaves its position smaller than it was, so that it reduces."""
        after, before = self.market_position_size, self.prev_market_position_size
        if self.action not in (Action.LONG, Action.SHORT) or after is None or before is None:
            return False
        return after < before and self.prev_market_position in (None, self.action.value)

    @property
    def quantity(self) -> Decimal | None:
        """Base units asked for; None where another unit, or something else, sizes the order."""
        return self.size.amount if self.size and self.size.unit is Unit.BASE else None
