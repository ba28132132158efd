"""Documentation of the routes of payments, transactions and balances."""

from chalicelib.openapi.docs import OWNER, Docs, listing
from chalicelib.openapi.examples import AT, USER_ID
from chalicelib.openapi.schemas import ID, NUMBER, TEXT, WHOLE, obj, one_of, page, record
from chalicelib.payments.models import (
    NewPayment,
    NewTransaction,
    Payment,
    PaymentChange,
    PaymentStatus,
    Transaction,
    TransactionType,
)

_PAYMENT = record(Payment, user_id=ID)
_TRANSACTION = record(Transaction, user_id=ID)
_payment = {
    "payment_id": 1,
    "user_id": USER_ID,
    "amount": 25.5,
    "currency": "USDT",
    "status": "completed",
    "description": "July",
    "transaction_id": 1,
    "created_at": AT,
    "updated_at": AT,
    "version": 2,
}
_transaction = {
    "transaction_id": 1,
    "user_id": USER_ID,
    "type": "payment",
    "amount": 25.5,
    "currency": "USDT",
    "balance_after": 25.5,
    "description": None,
    "payment_id": 1,
    "created_at": AT,
}
_IDS = {"payment_id": WHOLE, "transaction_id": WHOLE}
_given = {"user_id": USER_ID, "amount": 25.5, "currency": "USDT"}

DOCS = {
    "POST /payments": Docs(
        _PAYMENT, _payment, 201, NewPayment, _given, errors=(404, 409, 422), idempotency_key=True
    ),
    "GET /payments": Docs(
        page(_PAYMENT),
        listing(_payment),
        query={**OWNER, **_IDS, "status": one_of(*PaymentStatus), "currency": TEXT},
        paged=True,
    ),
    "GET /payments/{payment_id}": Docs(_PAYMENT, _payment),
    "PATCH /payments/{payment_id}": Docs(
        _PAYMENT, _payment, body=PaymentChange, given={"status": "completed"}, errors=(409, 422)
    ),
    "POST /transactions": Docs(
        _TRANSACTION, _transaction, 201, NewTransaction, _given, errors=(404, 409, 422), idempotency_key=True
    ),
    "GET /transactions": Docs(
        page(_TRANSACTION),
        listing(_transaction),
        query={**OWNER, **_IDS, "type": one_of(*TransactionType), "currency": TEXT},
        paged=True,
    ),
    "GET /transactions/{transaction_id}": Docs(_TRANSACTION, _transaction),
    "GET /users/{user_id}/balance": Docs(
        obj(user_id=ID, balances={"type": "object", "additionalProperties": NUMBER}),
        {"user_id": USER_ID, "balances": {"USDT": 25.5}},
    ),
}
