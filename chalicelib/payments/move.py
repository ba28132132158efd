"""Moves a balance: the transaction, the new balance and the event are written atomically."""

from datetime import datetime
from decimal import Decimal
from random import uniform
from time import sleep

from chalicelib import aws, counters
from chalicelib.audit import record
from chalicelib.errors import NotDoable, NotFound, Retryable
from chalicelib.events import outbox
from chalicelib.idempotency import IdempotentRequest
from chalicelib.inputs import set_fields
from chalicelib.payments import events, store
from chalicelib.payments.models import NewTransaction, Payment, Transaction, TransactionType

_TRIES = 8


def adjust(
    asked: NewTransaction, *, by: str, now: datetime, once: IdempotentRequest | None = None
) -> Transaction:
    """Adjusts a user's balance manually.

    Args:
        by: The author, for the audit trail.
        once: The idempotency key of the request. None if it has none.

    Raises:
        Replayed: The adjustment was made before, under the same key.
        Conflict: `idempotency_key_reused`.
        NotFound: The user does not exist.
        NotDoable: `insufficient_funds`: the balance would fall below zero.
        Retryable: Concurrent moves of the balance won every try.
    """
    user_id = str(asked.user_id)
    number = counters.next_value("transaction")
    audit_change = record.Change(
        by, "transaction.created", f"transaction#{number}", user_id, now, after=set_fields(asked)
    )
    for attempt in range(_TRIES):
        transaction, writes = move(
            number,
            user_id,
            asked.amount,
            asked.currency,
            now,
            type_=TransactionType.ADJUSTMENT,
            description=asked.description,
        )
        last = [once.write(transaction.view())] if once else []
        try:
            aws.transact([store.user_exists_write(user_id), *writes, record.write(audit_change), *last])
        except aws.WriteRefused as refused:
            if once:
                once.check(refused)
            if refused.failed[0] is not None:
                raise NotFound("user_not_found") from None
        except Retryable:
            sleep(uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 - jitter, not a secret
        else:
            return transaction
    raise Retryable("balance moved concurrently in every try")


def of_payment(payment: Payment, now: datetime) -> tuple[Transaction, list[aws.Write]]:
    """Returns the transaction of a completed payment, with its writes."""
    return move(
        counters.next_value("transaction"),
        payment.user_id,
        payment.amount,
        payment.currency,
        now,
        type_=TransactionType.PAYMENT,
        description=payment.description,
        payment_id=payment.payment_id,
    )


def move(
    number: int,
    user_id: str,
    amount: Decimal,
    currency: str,
    now: datetime,
    *,
    type_: TransactionType,
    description: str | None,
    payment_id: int | None = None,
) -> tuple[Transaction, list[aws.Write]]:
    """Returns a transaction on the current balance, with its writes.

    The writes' condition fails if the balance has moved since.

    Raises:
        NotDoable: `insufficient_funds`: the balance would fall below zero.
    """
    before = store.balance(user_id, currency)
    after = (before or Decimal(0)) + amount
    if amount < 0 and after < 0:
        raise NotDoable(
            "insufficient_funds", needed=format(-amount, "f"), available=format(before or Decimal(0), "f")
        )
    transaction = Transaction(
        transaction_id=number,
        user_id=user_id,
        type=type_,
        amount=amount,
        currency=currency,
        balance_after=after,
        description=description,
        payment_id=payment_id,
        created_at=now,
    )
    return transaction, [
        *store.move_writes(transaction, before),
        outbox.event_write(events.transaction_created_write(transaction)),
    ]
