"""Creates and changes payments. Completing a payment moves the balance exactly once."""

from datetime import datetime
from random import uniform
from time import sleep
from typing import Any

from chalicelib import aws, counters, versions
from chalicelib.audit import record
from chalicelib.errors import Conflict, NotFound, Refused, Retryable
from chalicelib.events import outbox
from chalicelib.idempotency import IdempotentRequest
from chalicelib.inputs import set_fields
from chalicelib.payments import events, move, store
from chalicelib.payments.models import NewPayment, Payment, PaymentChange, PaymentStatus

_TRIES = 8


def create(asked: NewPayment, *, by: str, now: datetime, once: IdempotentRequest | None = None) -> Payment:
    """Creates a payment. A payment created as completed moves the balance at once.

    Args:
        by: The author, for the audit trail.
        once: The idempotency key of the request. None if it has none.

    Raises:
        Replayed: The payment was created before, under the same key.
        Conflict: `idempotency_key_reused`.
        NotFound: The user does not exist.
        Retryable: Concurrent moves of the balance won every try.
    """
    payment = Payment(
        payment_id=counters.next_value("payment"),
        user_id=str(asked.user_id),
        amount=asked.amount,
        currency=asked.currency,
        status=asked.status,
        description=asked.description,
        created_at=now,
        updated_at=now,
    )
    audit_change = record.Change(
        by, "payment.created", _entity(payment), payment.user_id, now, after=set_fields(asked)
    )
    for attempt in range(_TRIES):
        made, writes = (
            _complete_payment(payment, now) if payment.status is PaymentStatus.COMPLETED else (payment, [])
        )
        last = [once.write(made.view())] if once else []
        try:
            aws.transact(
                [
                    store.user_exists_write(payment.user_id),
                    store.new_payment_write(made),
                    *writes,
                    record.write(audit_change),
                    *last,
                ]
            )
        except aws.WriteRefused as refused:
            if once:
                once.check(refused)
            if refused.failed[0] is not None:
                raise NotFound("user_not_found") from None
        except Retryable:
            sleep(uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 - jitter, not a secret
        else:
            return made
    raise Retryable("balance moved concurrently in every try")


def change(payment_id: int, asked: PaymentChange, *, by: str, now: datetime) -> Payment:
    """Changes a payment. No-op if nothing differs, so completing a payment is idempotent.

    Args:
        by: The author, for the audit trail.

    Raises:
        NotFound: The payment does not exist.
        Conflict: `version_conflict`. `payment_settled` if amount or status of a payment that is no longer
            pending would change.
        Retryable: Concurrent moves of the balance won every try.
    """
    wanted = {
        name: value
        for name, value in set_fields(asked, "version").items()
        if value is not None or name == "description"
    }

    def plan(item: aws.Item, _version: int) -> versions.Edit:
        before = Payment.model_validate(item)
        fields = {name: value for name, value in wanted.items() if getattr(before, name) != value}
        if not fields:
            return versions.Edit({})
        if before.status is not PaymentStatus.PENDING and fields.keys() - {"description"}:
            raise Conflict("payment_settled", status=before.status.value)
        after = before.model_copy(update=fields | {"updated_at": now})
        writes: list[aws.Write] = []
        if "status" in fields and after.status is PaymentStatus.COMPLETED:
            after, writes = _complete_payment(after, now)
        old = {name: getattr(before, name) for name in fields}
        audit_change = record.Change(by, "payment.updated", _entity(before), before.user_id, now, old, fields)
        also: list[tuple[aws.Write, Refused | None]] = [
            (write, None) for write in [*writes, record.write(audit_change)]
        ]
        return versions.Edit(_changed_attributes(after, fields), also)

    return Payment.model_validate(versions.edit("payments", {"payment_id": payment_id}, asked.version, plan))


def _complete_payment(payment: Payment, now: datetime) -> tuple[Payment, list[aws.Write]]:
    """Returns the payment with its transaction, and the writes of the transaction and of both events."""
    transaction, writes = move.of_payment(payment, now)
    done = payment.model_copy(update={"transaction_id": transaction.transaction_id})
    return done, [*writes, outbox.event_write(events.payment_completed_write(done, now))]


def _changed_attributes(payment: Payment, fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the attributes of a changed payment that must be written."""
    stored = {name: getattr(payment, name) for name in fields} | {
        "updated_at": payment.updated_at.isoformat()
    }
    if "status" in fields:
        stored["status"] = payment.status.value
    if payment.transaction_id is not None:
        stored["transaction_id"] = payment.transaction_id
    return stored


def _entity(payment: Payment) -> str:
    return f"payment#{payment.payment_id}"
