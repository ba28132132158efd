"""Payments and balance transactions: what is stored, and what a request may say. Immutable, no I/O."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from chalicelib.inputs import Caseless, Input, Money, Note, ShortText, UserId, Version
from chalicelib.users.models import Record, shown_id

_LARGEST = 10**15


def _something(amount: Decimal) -> Decimal:
    if not amount:
        raise ValueError("an adjustment of nothing")
    return amount


def _currency(text: str) -> str:
    if not (text.isascii() and text.isalnum()):
        raise ValueError("not a currency")
    return text.upper()


Currency = Annotated[ShortText, Field(min_length=2, max_length=12), AfterValidator(_currency)]
Positive = Annotated[Money, Field(gt=0)]
Signed = Annotated[
    Decimal, Field(ge=-_LARGEST, le=_LARGEST, max_digits=30, decimal_places=12), AfterValidator(_something)
]


class PaymentStatus(StrEnum):
    """Only a pending payment can change; the others are how it ended."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TransactionType(StrEnum):
    """Why a balance moved: a payment was completed, or an admin adjusted it by hand."""

    PAYMENT = "payment"
    ADJUSTMENT = "adjustment"


class Payment(Record):
    """A payment of a user to the service.

    Attributes:
        transaction_id: The transaction that completing it made; None until then.
        version: Counts its changes.
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
        """The payment as it is shown."""
        return self.model_dump() | {"user_id": shown_id(self.user_id)}


class Transaction(Record):
    """One move of a user's balance; it never changes.

    Attributes:
        amount: In `currency`; negative takes from the balance.
        balance_after: The balance in that currency once it had moved.
        payment_id: The payment it came of; None for an adjustment.
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
        """The transaction as it is shown."""
        return self.model_dump() | {"user_id": shown_id(self.user_id)}


class NewPayment(Input):
    """The body of `POST /payments`."""

    user_id: UserId
    amount: Positive
    currency: Currency
    status: Annotated[PaymentStatus, Caseless] = PaymentStatus.PENDING
    description: Note | None = None


class PaymentChange(Input):
    """The body of `PATCH /payments/{payment_id}`.

    `version`, where given, is the one the change was made to.
    """

    amount: Positive | None = None
    status: Annotated[PaymentStatus, Caseless] | None = None
    description: Note | None = None
    version: Version | None = None


class NewTransaction(Input):
    """The body of `POST /transactions`: an adjustment by hand; a negative amount takes from the balance."""

    user_id: UserId
    amount: Signed
    currency: Currency
    description: Note | None = None
