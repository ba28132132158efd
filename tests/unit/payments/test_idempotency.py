"""`Idempotency-Key`: money moves once, and the first answer is given again."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.serve_api import app
from testkit import pump
from testkit.gateway import call
from testkit.records import add_user, bearer

PAYMENT = {"user_id": 2, "amount": "100.50", "currency": "USDT", "status": "completed"}
ADJUSTMENT = {"user_id": 2, "amount": "5", "currency": "USDT"}


@pytest.fixture(autouse=True)
def users(emulated):
    add_user("1", role="admin")
    add_user("3", role="admin")
    add_user("2")


def post(path, body, key=None, by="1"):
    headers = bearer(by) | ({"Idempotency-Key": key} if key else {})
    return call(app, "POST", path, body, headers=headers)


def balance():
    return [item["amount"] for item in pump.items("balances")]


@pytest.mark.parametrize(("path", "body"), [("/payments", PAYMENT), ("/transactions", ADJUSTMENT)])
def test_the_same_key_moves_money_once(path, body):
    """The second request gets the first answer, marked as a duplicate, and creates nothing."""
    first, second = post(path, body, "key-1"), post(path, body, "key-1")
    assert (first[0], second[0], second[1]) == (201, 201, first[1])
    assert "Idempotent-Replayed" not in first[2]
    assert second[2]["Idempotent-Replayed"] == "true"
    assert len(pump.items("transactions")) == 1
    assert len(balance()) == 1


def test_many_at_once_move_it_once():
    """Eight concurrent requests with one key: one transaction, eight equal answers."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post("/payments", PAYMENT, "key-1"), range(8)))
    assert [status for status, *_ in answers] == [201] * 8
    assert len({answer["payment_id"] for _, answer, _ in answers}) == 1
    assert len(pump.items("transactions")) == 1


def test_another_body_under_the_key_is_refused():
    """A key stands for one request."""
    post("/payments", PAYMENT, "key-1")
    status, answer, _ = post("/payments", PAYMENT | {"amount": "7"}, "key-1")
    assert (status, answer["code"]) == (409, "idempotency_key_reused")
    assert len(pump.items("payments")) == 1


def test_keys_are_the_callers_and_the_routes_own():
    """Another admin's equal key, another route's, and no key at all are requests of their own."""
    post("/transactions", ADJUSTMENT, "key-1")
    post("/transactions", ADJUSTMENT, "key-1", by="3")
    post("/payments", PAYMENT, "key-1")
    post("/transactions", ADJUSTMENT)
    post("/transactions", ADJUSTMENT)
    assert len(pump.items("transactions")) == 5


def test_a_repeat_that_could_no_longer_be_done_is_still_a_repeat():
    """The first request took the whole balance. Its duplicate gets the same answer, not a lack of funds."""
    post("/transactions", ADJUSTMENT)
    spent = post("/transactions", ADJUSTMENT | {"amount": "-5"}, "key-1")
    assert post("/transactions", ADJUSTMENT | {"amount": "-5"}, "key-1")[:2] == spent[:2]
    assert balance() == [0]


def test_a_refusal_is_judged_anew():
    """Only successes are remembered."""
    assert post("/transactions", ADJUSTMENT | {"amount": "-5"}, "key-1")[0] == 422
    post("/transactions", ADJUSTMENT)
    assert post("/transactions", ADJUSTMENT | {"amount": "-5"}, "key-1")[0] == 201


def test_a_key_that_is_too_long():
    """The limit is named."""
    status, answer, _ = post("/payments", PAYMENT, "k" * 256)
    assert (status, answer["code"]) == (400, "too_long")
    assert "Idempotency-Key" in answer["error"]
