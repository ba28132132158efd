"""Payments, transactions and balances over HTTP. Admins create and change them, users see their own."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from chalicelib import aws, idempotency, inputs, paging
from chalicelib.errors import NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.payments import change, move, store
from chalicelib.payments.models import (
    NewPayment,
    NewTransaction,
    Payment,
    PaymentChange,
    PaymentStatus,
    Transaction,
    TransactionType,
)
from chalicelib.users.access import caller
from chalicelib.users.models import shown_id
from chalicelib.versions import answering_conflicts

_IDS = {"payments": "payment_id", "transactions": "transaction_id"}


def create_payment(request: Request) -> Answer:
    """Creates a payment for a user."""
    who = caller(request)
    who.require_admin()
    asked = inputs.body(request, NewPayment)
    now = datetime.now(UTC)
    return idempotency.answer_once(
        request,
        who.credential,
        now,
        lambda key: change.create(asked, by=who.user_id, now=now, once=key).view(),
    )


def list_payments(request: Request) -> Answer:
    """Lists payments, newest first: the caller's own. For an admin all, or those of `?user_id=`."""
    filters = {
        "status": inputs.choice(request, "status", tuple(PaymentStatus)),
        "currency": request.query.get("currency"),
    }
    return _list_records(request, "payments", filters, lambda item: Payment.model_validate(item).view())


def get_payment(request: Request) -> Answer:
    """Returns one payment."""
    who = caller(request)
    payment = store.get_payment(_number(request, "payment_id"))
    if payment is None:
        raise NotFound("not_found")
    who.require_owner(payment.user_id)
    return Answer(200, payment.view())


@answering_conflicts
def change_payment(request: Request) -> Answer:
    """Changes a pending payment. Completing it moves the balance."""
    who = caller(request)
    who.require_admin()
    asked = inputs.body(request, PaymentChange)
    changed = change.change(_number(request, "payment_id"), asked, by=who.user_id, now=datetime.now(UTC))
    return Answer(200, changed.view())


def create_transaction(request: Request) -> Answer:
    """Adjusts a user's balance manually."""
    who = caller(request)
    who.require_admin()
    asked = inputs.body(request, NewTransaction)
    now = datetime.now(UTC)
    return idempotency.answer_once(
        request, who.credential, now, lambda key: move.adjust(asked, by=who.user_id, now=now, once=key).view()
    )


def list_transactions(request: Request) -> Answer:
    """Lists transactions, newest first: the caller's own. For an admin all, or those of `?user_id=`."""
    filters = {
        "type": inputs.choice(request, "type", tuple(TransactionType)),
        "currency": request.query.get("currency"),
    }
    return _list_records(
        request, "transactions", filters, lambda item: Transaction.model_validate(item).view()
    )


def get_transaction(request: Request) -> Answer:
    """Returns one transaction."""
    who = caller(request)
    transaction = store.get_transaction(_number(request, "transaction_id"))
    if transaction is None:
        raise NotFound("not_found")
    who.require_owner(transaction.user_id)
    return Answer(200, transaction.view())


def get_balance(request: Request) -> Answer:
    """Returns a user's balance in every currency that has moved."""
    user_id = request.path["user_id"]
    caller(request).require_owner(user_id)
    return Answer(200, {"user_id": shown_id(user_id), "balances": store.balances(user_id)})


def _list_records(
    request: Request, table: str, filters: dict[str, str | None], view: Callable[[aws.Item], Any]
) -> Answer:
    who, page = caller(request), paging.page_request(request)
    user_id = who.whose_or_all(request)
    ids = {name: inputs.number(request, name) for name in ("payment_id", "transaction_id")}
    given: dict[str, Any] = {**filters, **ids}
    wanted = {
        name: value.upper() if name == "currency" else value
        for name, value in given.items()
        if value not in (None, "")
    }
    own_id = wanted.pop(_IDS[table], None)
    if own_id is not None:  # at most one record, read by its key at constant cost
        item = aws.get(table, {_IDS[table]: own_id}) or {}
        found = (
            bool(item)
            and user_id in (None, item["user_id"])
            and all(item.get(name) == value for name, value in wanted.items())
        )
        return paging.list_response([view(item)] if found else [], int(found), None)
    arguments: dict[str, Any] = dict(wanted)
    if wanted:
        arguments["filter_expression"] = " AND ".join(f"#{name} = :{name}" for name in wanted)
    if user_id is None:
        return paging.answer(
            table,
            "listed = :all",
            page,
            view,
            index="listed",
            newest_first=True,
            all=store.LISTED,
            **arguments,
        )
    return paging.answer(
        table, "user_id = :user", page, view, index="by_user", newest_first=True, user=user_id, **arguments
    )


def _number(request: Request, name: str) -> int:
    """Returns the number in the path. Raises NotFound for other texts."""
    text = request.path[name]
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**53)):
        raise NotFound("not_found")
    return int(text)


PAYMENTS = [
    Route("POST", "/payments", create_payment),
    Route("GET", "/payments", list_payments),
    Route("GET", "/payments/{payment_id}", get_payment),
    Route("PATCH", "/payments/{payment_id}", change_payment),
    Route("POST", "/transactions", create_transaction),
    Route("GET", "/transactions", list_transactions),
    Route("GET", "/transactions/{transaction_id}", get_transaction),
    Route("GET", "/users/{user_id}/balance", get_balance),
]
