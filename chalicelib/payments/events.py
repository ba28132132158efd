"""Events about payments and transactions, with ids as numbers and money as strings."""

from datetime import datetime

from chalicelib.events.models import Event, event_id
from chalicelib.payments.models import Payment, Transaction
from chalicelib.users.models import shown_id


def payment_completed_write(payment: Payment, now: datetime) -> Event:
    """Returns the event of a completed payment. `transaction.created` has the new balance."""
    payload = {
        "payment_id": payment.payment_id,
        "user_id": shown_id(payment.user_id),
        "amount": payment.amount,
        "currency": payment.currency,
        "status": payment.status.value,
        "description": payment.description,
        "transaction_id": payment.transaction_id,
    }
    return Event(
        event_id=event_id("payment.completed", str(payment.payment_id)),
        type="payment.completed",
        payload=payload,
        entity=f"payment#{payment.payment_id}",
        user_id=payment.user_id,
        created_at=now,
    )


def transaction_created_write(transaction: Transaction) -> Event:
    """Returns the event of a moved balance."""
    payload = {
        "transaction_id": transaction.transaction_id,
        "user_id": shown_id(transaction.user_id),
        "type": transaction.type.value,
        "amount": transaction.amount,
        "currency": transaction.currency,
        "balance_after": transaction.balance_after,
        "description": transaction.description,
        "payment_id": transaction.payment_id,
    }
    return Event(
        event_id=event_id("transaction.created", str(transaction.transaction_id)),
        type="transaction.created",
        payload=payload,
        entity=f"transaction#{transaction.transaction_id}",
        user_id=transaction.user_id,
        created_at=transaction.created_at,
    )
