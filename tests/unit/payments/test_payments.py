"""Payments, transactions and balances through the API."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from chalicelib import aws
from functions.serve_api import app
from testkit import pump
from testkit.gateway import call
from testkit.records import add_user, bearer


def make(headers, **fields):
    return call(
        app,
        "POST",
        "/payments",
        {"user_id": 2, "amount": "100.50", "currency": "usdt"} | fields,
        headers=headers,
    )


def patch(payment_id, headers, **fields):
    path = {"payment_id": str(payment_id)}
    return call(
        app,
        "PATCH",
        f"/payments/{payment_id}",
        fields,
        route="/payments/{payment_id}",
        path_parameters=path,
        headers=headers,
    )


def balances(headers, user_id="2"):
    return call(
        app,
        "GET",
        f"/users/{user_id}/balance",
        route="/users/{user_id}/balance",
        path_parameters={"user_id": user_id},
        headers=headers,
    )[1]


def outbox(type_: str) -> list[dict]:
    items = sorted(pump.items("outbox"), key=lambda item: item["created_at"])
    return [item["payload"] for item in items if item["type"] == type_]


def test_a_pending_payment_moves_nothing(admin, user):
    """A payment is created pending, as a number with its own fields, and the balance stays."""
    status, body, _ = make(admin, description="Top-up")
    assert status == 201
    expected = {
        "payment_id": 1,
        "user_id": 2,
        "amount": 100.5,
        "currency": "USDT",
        "status": "pending",
        "transaction_id": None,
        "version": 1,
    }
    assert expected.items() <= body.items()
    assert balances(user) == {"user_id": 2, "balances": {}}
    assert outbox("payment.completed") == []


def test_completing_makes_transaction_balance_and_both_events(admin, user):
    """A completed payment is on the balance, has its transaction, and both events tell money as text and ids
    as numbers.
    """
    make(admin)
    status, body, _ = patch(1, admin, status="completed")
    assert (status, body["status"], body["version"]) == (200, "completed", 2)
    assert balances(user)["balances"] == {"USDT": 100.5}
    [completed], [created] = outbox("payment.completed"), outbox("transaction.created")
    assert completed == {
        "payment_id": 1,
        "user_id": 2,
        "amount": "100.50",
        "currency": "USDT",
        "status": "completed",
        "description": None,
        "transaction_id": body["transaction_id"],
    }
    assert created["transaction_id"] == body["transaction_id"]
    assert (created["amount"], created["balance_after"], created["type"], created["payment_id"]) == (
        "100.50",
        "100.50",
        "payment",
        1,
    )


def test_completing_again_answers_alike_and_does_nothing(admin, user):
    """The second completion of a payment changes neither balance nor transactions."""
    make(admin)
    patch(1, admin, status="completed")
    status, body, _ = patch(1, admin, status="completed")
    assert (status, body["version"]) == (200, 2)
    assert balances(user)["balances"] == {"USDT": 100.5}
    assert len(outbox("transaction.created")) == 1


def test_completed_twice_at_once_makes_one_transaction(admin, user):
    """Eight concurrent completions leave one transaction and its amount once on the balance."""
    make(admin)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: patch(1, admin, status="completed"), range(8)))
    assert {status for status, _, _ in answers} == {200}
    assert balances(user)["balances"] == {"USDT": 100.5}
    assert len(outbox("transaction.created")) == len(outbox("payment.completed")) == 1


def test_two_editors_of_one_version(admin, user):
    """Of two concurrent changes of the same version, one is answered with a conflict."""
    make(admin)
    assert patch(1, admin, amount=200, version=1)[0] == 200
    status, body, _ = patch(1, admin, status="completed", version=1)
    assert (status, body["code"], body["version"]) == (409, "version_conflict", 2)
    assert balances(user)["balances"] == {}


@pytest.mark.parametrize("change", [{"status": "failed"}, {"status": "pending"}, {"amount": 5}])
def test_a_settled_payment_stays_as_it_ended(admin, user, change):
    """Amount and status of a completed payment stand."""
    make(admin, status="completed")
    status, body, _ = patch(1, admin, **change)
    assert (status, body["code"]) == (409, "payment_settled")


def test_a_settled_payment_takes_a_description(admin, user):
    """A payment's description may be corrected at any time."""
    make(admin, status="completed")
    assert patch(1, admin, description="Invoice 7")[1]["description"] == "Invoice 7"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"amount": 0}, "must_be_more", "amount"),
        ({"amount": -1}, "must_be_at_least", "amount"),
        ({"amount": "abc"}, "invalid_number", "amount"),
        ({"amount": None}, "invalid_number", "amount"),
        ({"currency": "US DOLLAR"}, "invalid_value", "currency"),
        ({"currency": 5}, "invalid_text", "currency"),
        ({"status": "done"}, "invalid_choice", "status"),
        ({"user_id": "x"}, "invalid_number", "user_id"),
        ({"colour": "red"}, "unknown_field", "colour"),
    ],
)
def test_bad_fields_are_named(admin, user, fields, code, field):
    """A wrong field is a 400 that names it."""
    status, body, _ = make(admin, **fields)
    assert (status, body["code"]) == (400, code)
    assert field in body["error"]


def test_a_payment_needs_its_user(admin):
    """There is no payment of a user who does not exist."""
    status, body, _ = make(admin, user_id=77)
    assert (status, body["code"]) == (404, "user_not_found")


def test_users_see_their_own_only(admin, user):
    """A user lists and reads their own payments and no other's, and changes none."""
    add_user("3")
    stranger = bearer("3")
    make(admin)
    assert call(app, "GET", "/payments", headers=user)[1]["total"] == 1
    assert call(app, "GET", "/payments", headers=stranger)[1]["items"] == []
    path = {"route": "/payments/{payment_id}", "path_parameters": {"payment_id": "1"}}
    assert call(app, "GET", "/payments/1", headers=user, **path)[0] == 200
    assert call(app, "GET", "/payments/1", headers=stranger, **path)[0] == 404
    assert call(app, "GET", "/payments", headers=stranger, query={"user_id": "2"})[0] == 403
    assert balances(stranger)["code"] == "not_found"
    assert make(user)[1]["code"] == "admin_only"
    assert patch(1, user, status="completed")[1]["code"] == "admin_only"


def test_admins_list_everybody_newest_first(admin, user):
    """An admin's list has every user's payments, and filters narrow it."""
    make(admin)
    make(admin, user_id=1, currency="EUR", status="completed")
    assert [item["payment_id"] for item in call(app, "GET", "/payments", headers=admin)[1]["items"]] == [2, 1]
    assert [
        item["payment_id"]
        for item in call(app, "GET", "/payments", headers=admin, query={"status": "pending"})[1]["items"]
    ] == [1]
    assert [
        item["payment_id"]
        for item in call(app, "GET", "/payments", headers=admin, query={"currency": "eur"})[1]["items"]
    ] == [2]
    assert (
        call(app, "GET", "/payments", headers=admin, query={"status": "nope"})[1]["code"] == "invalid_choice"
    )


def test_one_record_is_found_by_its_ids(admin, user):
    """`?payment_id=` and `?transaction_id=` return that record, if it is the caller's.

    Another user's id returns nothing.
    """
    for _ in range(3):
        make(admin)
    patch(2, admin, status="completed")

    def found(path, headers, **query):
        status, body, _ = call(app, "GET", path, query=query, headers=headers)
        assert status == 200
        return [(item["payment_id"], item["transaction_id"]) for item in body["items"]]

    assert found("/payments", admin, payment_id="2") == [(2, 1)]
    assert found("/payments", user, payment_id="3") == [(3, None)]
    assert found("/payments", admin, payment_id="2", status="pending") == []
    assert found("/payments", admin, payment_id="9") == []
    assert found("/payments", admin, transaction_id="1") == [(2, 1)]
    assert found("/transactions", admin, payment_id="2") == [(2, 1)]
    assert found("/transactions", user, transaction_id="1", currency="usdt") == [(2, 1)]
    add_user("3")
    assert found("/payments", bearer("3"), payment_id="2") == []
    assert found("/payments", admin, user_id="3", payment_id="2") == []


def test_me_is_the_caller_and_a_stranger_is_not_found(admin, user):
    """`?user_id=me` gives the caller's own; a user who does not exist is a 404."""
    make(admin)
    for path in ("/payments", "/transactions", "/tickets"):
        assert call(app, "GET", path, query={"user_id": "me"}, headers=admin)[1]["items"] == []
        status, body, _ = call(app, "GET", path, query={"user_id": "999999"}, headers=admin)
        assert (status, body["code"]) == (404, "user_not_found")
    assert [
        item["payment_id"]
        for item in call(app, "GET", "/payments", query={"user_id": "me"}, headers=user)[1]["items"]
    ] == [1]


def test_pages_of_a_list_meet(admin, user):
    """Following `next` visits each payment once."""
    for _ in range(5):
        make(admin)
    seen, query = [], {"limit": "2"}
    while True:
        page = call(app, "GET", "/payments", headers=admin, query=query)[1]
        seen += [item["payment_id"] for item in page["items"]]
        if not page["next"]:
            break
        query = {"limit": "2", "cursor": page["next"]}
    assert seen == [5, 4, 3, 2, 1]


def test_an_adjustment_moves_the_balance_both_ways(admin, user):
    """An admin adds and takes by hand; each transaction tells the balance after it."""
    adjust = lambda amount: call(  # noqa: E731
        app, "POST", "/transactions", {"user_id": 2, "amount": amount, "currency": "USDT"}, headers=admin
    )
    assert adjust("10.10")[1]["balance_after"] == 10.1
    status, body, _ = adjust("-0.05")
    assert (status, body["balance_after"], body["type"]) == (201, 10.05, "adjustment")
    assert aws.get("balances", {"user_id": "2", "currency": "USDT"})["amount"] == Decimal("10.05")
    assert [item["amount"] for item in call(app, "GET", "/transactions", headers=user)[1]["items"]] == [
        -0.05,
        10.1,
    ]


def test_a_balance_never_falls_below_zero(admin, user):
    """Taking more than is there is refused with both figures, and changes nothing."""
    status, body, _ = call(
        app, "POST", "/transactions", {"user_id": 2, "amount": -5, "currency": "USDT"}, headers=admin
    )
    assert (status, body["code"]) == (422, "insufficient_funds")
    assert balances(user)["balances"] == {}


@pytest.mark.parametrize("amount", [True, "NaN", "1e20", "0.0000000000001", [1], 0, "0.00", "-0"])
def test_bad_amounts_of_an_adjustment(admin, user, amount):
    """An amount is a finite decimal of a sane size."""
    status, body, _ = call(
        app, "POST", "/transactions", {"user_id": 2, "amount": amount, "currency": "USDT"}, headers=admin
    )
    assert status == 400
    assert "amount" in body["error"]


def test_changes_are_in_the_audit_trail(admin, user):
    """Who made, completed and adjusted is written down."""
    make(admin)
    patch(1, admin, status="completed")
    actions = {
        item["action"]: item for item in aws.query_all("audit", "user_id = :user", index="by_user", user="2")
    }
    assert actions.keys() == {"payment.created", "payment.updated"}
    assert (actions["payment.updated"]["before"], actions["payment.updated"]["after"]) == (
        {"status": "pending"},
        {"status": "completed"},
    )
