"""Deadlines: when a signal's resting orders expire, and when what its orders opened is closed.

A deadline is an item of `in_flight_orders`, on simulated accounts too, written together with the order. The
minute schedule finds due deadlines by the index `due` and queues them in the account's message group. A
deadline is kept up to about a minute late, and each of its orders has a deterministic id.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from chalicelib import aws
from chalicelib.exchanges.protocol import OrderRequest, Side
from chalicelib.orders import legs
from chalicelib.orders.in_flight import DEADLINE, shard_of
from chalicelib.orders.models import Instruction, Order
from chalicelib.trading import MarketType, OrderType


class Kind(StrEnum):
    """What is due."""

    EXPIRY = "expiry"
    EXIT = "exit"


class Deadline(BaseModel):
    """One deadline of a signal on an account.

    Attributes:
        terms: The signal's instruction, from which the orders of the deadline are made.
        attempt: Number of times that something that was due was left.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind
    due_at: datetime
    terms: Instruction
    attempt: int = 0

    @property
    def key(self) -> dict[str, str]:
        """The key of the item."""
        deadline_id = f"{DEADLINE}{self.kind.value}#{self.terms.signal_id}"
        return {"account_id": self.terms.account_id, "order_id": deadline_id}


def order_fields(instruction: Instruction, leg: str, request: OrderRequest, now: datetime) -> dict[str, Any]:
    """Returns the fields of a new order that say when it expires and when its position is closed."""
    if not legs.whole(leg).isdigit():
        return {}
    fields: dict[str, Any] = {}
    if instruction.expires_in_s and request.order_type is not OrderType.MARKET:
        fields["expires_at"] = now + timedelta(seconds=instruction.expires_in_s)
        fields["on_expiry"] = instruction.on_expiry
    sells_holdings = request.instrument.market_type is MarketType.SPOT and request.side is Side.SELL
    if instruction.exit_after_s and not request.reduce_only and not sells_holdings:
        fields["exit_after_s"] = instruction.exit_after_s
    return fields


def new_deadline_writes(instruction: Instruction, order: Order) -> list[aws.Write]:
    """Returns the writes of a new order's deadlines. Orders of one signal share them."""
    found = []
    if order.expires_at is not None:
        found.append(Deadline(kind=Kind.EXPIRY, due_at=order.expires_at, terms=instruction))
    if order.exit_after_s is not None:
        due_at = order.created_at + timedelta(seconds=order.exit_after_s)
        found.append(Deadline(kind=Kind.EXIT, due_at=due_at, terms=instruction))
    return [_write(each) for each in found]


def read(account_id: str, deadline_id: str) -> Deadline | None:
    """Returns a deadline. None if it has been kept."""
    item = aws.get("in_flight_orders", {"account_id": account_id, "order_id": deadline_id})
    return None if item is None else _from_item(item)


def postpone(deadline: Deadline, until: datetime, *, failed: bool) -> None:
    """Sets another due time.

    Args:
        failed: Whether something that was due is left, so that this was an attempt.
    """
    changed = {"due_at": until, "attempt": deadline.attempt + failed}
    aws.write(_write(deadline.model_copy(update=changed)))


def remove(deadline: Deadline) -> None:
    """Removes a deadline that has been kept."""
    aws.write(aws.delete_write("in_flight_orders", deadline.key))


def is_deadline(item: Mapping[str, Any]) -> bool:
    """Returns whether an item of `in_flight_orders` is a deadline."""
    return str(item["order_id"]).startswith(DEADLINE)


def _write(deadline: Deadline) -> aws.Write:
    terms = deadline.terms
    item = {
        **deadline.key,
        "kind": deadline.kind.value,
        "exchange": terms.exchange,
        "shard": shard_of(terms.account_id),
        "due_at": deadline.due_at.isoformat(),
        "attempt": deadline.attempt,
        "terms": terms.model_dump_json(),
    }
    return aws.put_write("in_flight_orders", item)


def _from_item(item: aws.Item) -> Deadline:
    return Deadline.model_validate(item | {"terms": Instruction.model_validate_json(item["terms"])})
