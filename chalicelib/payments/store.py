"""Payments, transactions and balances as items."""

from decimal import Decimal

from chalicelib import aws
from chalicelib.payments.models import Payment, Transaction

LISTED = "1"
"""The only partition of the index `listed`: every payment or transaction by its number."""


def get_payment(payment_id: int) -> Payment | None:
    """Returns a payment. None if it does not exist."""
    item = aws.get("payments", {"payment_id": payment_id})
    return Payment.model_validate(item) if item else None


def new_payment_write(payment: Payment) -> aws.Write:
    """Returns the write of a new payment."""
    times = {"created_at": payment.created_at.isoformat(), "updated_at": payment.updated_at.isoformat()}
    item = payment.model_dump(exclude_none=True) | times | {"status": payment.status.value, "listed": LISTED}
    return aws.put_write("payments", item, "attribute_not_exists(payment_id)")


def get_transaction(transaction_id: int) -> Transaction | None:
    """Returns a transaction. None if it does not exist."""
    item = aws.get("transactions", {"transaction_id": transaction_id})
    return Transaction.model_validate(item) if item else None


def balance(user_id: str, currency: str) -> Decimal | None:
    """Returns a user's balance in a currency, read consistently. None if it never moved."""
    item = aws.get("balances", {"user_id": user_id, "currency": currency})
    return item["amount"] if item else None


def balances(user_id: str) -> dict[str, Decimal]:
    """Returns a user's balances by currency."""
    items = aws.query_all("balances", "user_id = :user", user=user_id, consistent=True)
    return {item["currency"]: item["amount"] for item in items}


def move_writes(transaction: Transaction, before: Decimal | None) -> list[aws.Write]:
    """Returns the writes of a transaction and of the new balance.

    The condition fails if the balance is no longer `before`.
    """
    item = transaction.model_dump(exclude_none=True) | {
        "created_at": transaction.created_at.isoformat(),
        "type": transaction.type.value,
        "listed": LISTED,
    }
    return [
        _balance(transaction, before),
        aws.put_write("transactions", item, "attribute_not_exists(transaction_id)"),
    ]


def user_exists_write(user_id: str) -> aws.Write:
    """Returns the condition that the user exists."""
    return aws.check_write("users", {"user_id": user_id, "part": "profile"}, "attribute_exists(user_id)")


def _balance(transaction: Transaction, before: Decimal | None) -> aws.Write:
    item = {
        "user_id": transaction.user_id,
        "currency": transaction.currency,
        "amount": transaction.balance_after,
    }
    if before is None:
        return aws.put_write("balances", item, "attribute_not_exists(amount)")
    return aws.put_write("balances", item, "amount = :before", before=before)
