"""Payments and balance transactions: stored records and bodies of requests. Immutable, no I/O."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from chalicelib.inputs import Caseless, Input, Money, Note, ShortText, UserId, Version
from chalicelib.users.models import Record, shown_id

_LARGEST = 10**15


def _not_zero(amount: Decimal) -> Decimal:
    if not amount:
        raise ValueError("adjustment of zero")
    return amount


def _currency(text: str) -> str:
    if not (text.isascii() and text.isalnum()):
        raise ValueError("not a currency")
    return text.upper()


Currency = Annotated[ShortText, Field(min_length=2, max_length=12), AfterValidator(_currency)]
Positive = Annotated[Money, Field(gt=0)]
Signed = Annotated[
    Decimal, Field(ge=-_LARGEST, le=_LARGEST, max_digits=30, decimal_places=12), AfterValidator(_not_zero)
]


class PaymentStatus(StrEnum):
    """The state of a payment. Only a pending payment can change."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TransactionType(StrEnum):
    """Why a balance moved: a completed payment, or an adjustment by an admin."""

    PAYMENT = "payment"
    ADJUSTMENT = "adjustment"


class Payment(Record):
    """A payment of a user to the service.

    Attributes:
        transaction_id: The transaction of the completed payment. None before.
        version: The number of changes.
    """

    payment_id: int
    user_id: str
    amount: Decimal
    currency: str
    status: PaymentStatus
    description: str | None = None
    transaction_id: int | None = None
    created_at: datetime
    updated_at: datetime
    version: int = 1

    def view(self) -> dict[str, Any]:
        """Returns the view of the payment."""
        return self.model_dump() | {"user_id": shown_id(self.user_id)}


class Transaction(Record):
    """One move of a user's balance. Never changes.

    Attributes:
        amount: In `currency`. A negative amount reduces the balance.
        balance_after: The balance in that currency after the move.
        payment_id: The payment that caused the move. None for an adjustment.
    """

    transaction_id: int
    user_id: str
    type: TransactionType
    amount: Decimal
    currency: str
    balance_after: Decimal
    description: str | None = None
    payment_id: int | None = None
    created_at: datetime

    def view(self) -> dict[str, Any]:
        """Returns the view of the transaction."""
        return self.model_dump() | {"user_id": shown_id(self.user_id)}


class NewPayment(Input):
    """The body of `POST /payments`."""

    user_id: UserId
    amount: Positive
    currency: Currency
    status: Annotated[PaymentStatus, Caseless] = PaymentStatus.PENDING
    description: Note | None = None


class PaymentChange(Input):
    """The body of `PATCH /payments/{payment_id}`. `version` is the version that the editor saw."""

    amount: Positive | None = None
    status: Annotated[PaymentStatus, Caseless] | None = None
    description: Note | None = None
    version: Version | None = None


class NewTransaction(Input):
    """The body of `POST /transactions`: an adjustment. A negative amount reduces the balance."""

    user_id: UserId
    amount: Signed
    currency: Currency
    description: Note | None = None
