"""What the order queues carry and the ledger keeps. Immutable, no I/O."""

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from chalicelib.exchanges.protocol import OrderStatus, Side
from chalicelib.signals.models import Action, Leg, MarketType, OrderType, Symbol


class Instruction(BaseModel):
    """One signal on one account: the message in an order queue, with everything needed to size and place its orders.

    Attributes:
        variant: Which webhook it came by; the answer's form depends on it.
        quantity: Base units; None where settings or percent size the order.
        alone: The signal goes to this account only, so settling it settles the signal.
        max_age_s: Older than this, it opens nothing any more.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    signal_id: str
    user_id: str
    account_id: str
    exchange: str
    variant: str
    action: Action
    symbol: Symbol | None
    market_type: MarketType | None
    order_type: OrderType
    quantity: Decimal | None
    price: Decimal | None
    stop_price: Decimal | None
    legs: tuple[Leg, ...]
    batch: bool
    group_name: str | None
    received_at: datetime
    sent_at: datetime | None
    max_age_s: int
    alone: bool

    @property
    def age_from(self) -> datetime:
        """When the signal's age starts: when the sender says it sent it, else receipt."""
        return self.sent_at or self.received_at


class Order(BaseModel):
    """An order in the ledger.

    Attributes:
        leg: Its number within the signal on this account, from 0.
        number: Its number on the account, from 1; what people call the order.
        quantity: Base units asked for; `filled` of them done.
        value: Quote units, filled times average price; `fee` in `fee_currency`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    signal_id: str
    account_id: str
    user_id: str
    leg: int
    number: int
    client_order_id: str
    exchange: str
    symbol: str
    side: Side
    order_type: OrderType
    status: OrderStatus
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    average_price: Decimal | None
    value: Decimal | None
    fee: Decimal | None
    fee_currency: str | None
    created_at: datetime
    version: int = 1

    @property
    def order_id(self) -> str:
        """The order's address in the ledger."""
        return f"{self.signal_id}-{self.account_id}-{self.leg}"

    @property
    def entity(self) -> str:
        """What its events are about."""
        return f"order#{self.order_id}"


class Execution(BaseModel):
    """How one signal ended on one account.

    Attributes:
        code: Why nothing was traded; None if something was. `values` go into its message.
        detail: What the sender's answer tells beside the orders (the paper seed's `simulation`).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    signal_id: str
    account_id: str
    account_name: str
    exchange: str
    code: str | None = None
    values: dict[str, Any] = {}
    status: int = 200
    orders: tuple[Order, ...] = ()
    detail: dict[str, Any] = {}
    settled_at: datetime


def client_order_id(signal_id: str, account_id: str, leg: int) -> str:
    """The id an order carries at the exchange: the same for every try, and within every exchange's rules (32 alphanumerics)."""
    return hashlib.sha256(f"{signal_id}\x00{account_id}\x00{leg}".encode()).hexdigest()[:32]
