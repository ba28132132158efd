"""Orders by hand, the dry run, and the prices and positions around them."""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.users.credentials import Kind
from functions import receive_signals, serve_api
from testkit import api, pump, records
from testkit.gateway import call

ORDER = {"account": "main", "symbol": "AAPL", "side": "buy", "quantity": 100, "price": 185.50}
SIGNAL = {"symbol": "AAPL", "side": "buy", "qty": 100, "price": 185.50}


@pytest.fixture(autouse=True)
def people(emulated: None) -> None:
    """An admin with a paper account, and a user with one too and a live account."""
    records.add_user("1", role="admin")
    records.add_account("1", "main")
    records.add_user("2")
    records.add_account("2", "main")
    records.add_account("2", "real", kind="live", exchange="okx")


def ask(
    who: str | None, method: str, path: str, body: Any = None, *, app: Any = serve_api.app, **more: Any
) -> tuple[int, Any]:
    """A call with a user's API token."""
    headers = {"Authorization": f"Bearer {records.add_token(who, Kind.API)}"} if who else {}
    status, answer, _ = call(app, method, path, body, headers=headers, **more)
    return status, answer


def order(who: str | None, **changes: Any) -> tuple[int, Any]:
    """An order by hand, not waited for; what became of it instead."""
    status, answer = ask(
        who, "POST", "/orders", {**ORDER, **changes}, app=receive_signals.app, query={"wait": "0"}
    )
    pump.execute()
    if status != 202:
        return status, answer
    where = {"route": "/signals/{signal_id}", "path_parameters": {"signal_id": answer["signal_id"]}}
    return status, ask(who, "GET", f"/signals/{answer['signal_id']}", **where)[1]["result"]


def test_an_order_by_hand_fills() -> None:
    """An admin's order is handled and answered like a signal."""
    status, result = order("1")
    assert status == 202
    assert (result["order"]["source"], result["order"]["exec_price"], result["simulation"]["total_cost"]) == (
        "manual",
        185.59,
        18577.56,
    )


def test_an_order_for_a_users_account_by_its_id() -> None:
    """`account_id` and `user_id` name another's account; `percent` sizes by the free balance."""
    _, result = order("1", user_id=2, account_id="2-main", account=None, quantity=None, percent=50)
    assert 49_900 < result["order"]["value"] < 50_000


@pytest.mark.parametrize(("who", "status", "code"), [(None, 401, "token_missing"), ("2", 403, "admin_only")])
def test_only_admins_place_orders(who: str | None, status: int, code: str) -> None:
    """Without a token 401, a user 403, and nothing trades."""
    got, answer = order(who)
    assert (got, answer["code"]) == (status, code)
    assert not pump.items("orders")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"account": None}, 400, "missing_field"),
        ({"account": "other"}, 404, "account_not_found"),
        ({"account_id": "2-main"}, 404, "account_not_found"),
        ({"quantity": None}, 400, "missing_field"),
        ({"percent": 5}, 400, "conflicting_fields"),
        ({"colour": "red"}, 400, "unknown_field"),
        ({"user_id": 99}, 404, "user_not_found"),
        ({"token": "whk_1_x"}, 401, "token_wrong"),
        ({"user_id": 2, "account": "real", "demo": True}, 422, "not_a_demo_account"),
    ],
)
def test_orders_that_cannot_be_meant(changes: dict[str, Any], status: int, code: str) -> None:
    """Each is refused by its own code."""
    got, answer = order("1", **changes)
    assert (got, answer["code"]) == (status, code)


def test_explaining_writes_nothing() -> None:
    """The dry run gives the seed's figures, and no table differs afterwards."""
    headers = {"Authorization": f"Bearer {records.add_token('2', Kind.API)}"}
    call(
        serve_api.app, "POST", "/signals/explain", SIGNAL, headers=headers
    )  # so that the token has been used this minute
    before = api.everything()
    status, plan, _ = call(serve_api.app, "POST", "/signals/explain", SIGNAL, headers=headers)
    assert status == 200
    [account] = plan["accounts"]
    assert account["would_trade"] is True
    assert (account["orders"][0]["price"], account["fee"], account["cost"]) == (185.59, 18.56, 18577.56)
    assert api.everything() == before


def test_explaining_says_why_not() -> None:
    """An account without the money says so, in the reader's language."""
    token = records.add_token("2", Kind.API)
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": "zh"}
    _, plan, _ = call(serve_api.app, "POST", "/signals/explain", SIGNAL | {"qty": 100_000}, headers=headers)
    [account] = plan["accounts"]
    assert (account["would_trade"], account["code"]) == (False, "insufficient_funds")
    assert account["error"].startswith("资金不足")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"symbol": "AAPL"}, 400, "missing_field"),
        (SIGNAL | {"account": "none"}, 404, "account_not_found"),
        (SIGNAL | {"token": "whk_2_wrong"}, 401, "token_wrong"),
        (SIGNAL | {"timestamp": "2026-01-01T00:00:00Z"}, 422, "stale"),
    ],
)
def test_explaining_what_the_webhook_would_refuse(body: dict[str, Any], status: int, code: str) -> None:
    """A signal the webhook would refuse is refused alike."""
    got, answer = ask("2", "POST", "/signals/explain", body)
    assert (got, answer["code"]) == (status, code)


def test_explaining_for_somebody_else() -> None:
    """Only admins explain for others."""
    assert ask("2", "POST", "/signals/explain", SIGNAL, query={"user_id": "1"})[0] == 403
    assert ask("1", "POST", "/signals/explain", SIGNAL, query={"user_id": "2"})[1]["user_id"] == 2


def test_a_users_price_is_theirs_and_an_admins_everybodys() -> None:
    """Each sees what concerns them."""
    assert ask("2", "POST", "/paper/prices", {"symbol": "BTCUSDT", "price": "94000.5"})[0] == 201
    assert ask("1", "POST", "/paper/prices", [{"symbol": "ETHUSDT", "price": 3000}])[0] == 201
    own = ask("2", "GET", "/paper/prices")[1]["items"]
    assert [(each["symbol"], each["price"], each["scope"]) for each in own] == [("BTCUSDT", 94000.5, 2)]
    shared = ask("2", "GET", "/paper/prices", query={"scope": "everybody"})[1]["items"]
    assert [(each["symbol"], each["scope"]) for each in shared] == [("ETHUSDT", "everybody")]
    assert ask("2", "POST", "/paper/prices", {"symbol": "BTCUSDT", "price": 1, "user_id": 1})[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        {"symbol": "BTCUSDT"},
        {"price": 1},
        {},
        [],
        {"symbol": "BTCUSDT", "price": 0},
        {"prices": [{"price": 1}]},
    ],
)
def test_prices_that_are_none(body: Any) -> None:
    """What lacks a part, or is no price, is a 400."""
    assert ask("1", "POST", "/paper/prices", body)[0] == 400


def test_positions_show_their_profit() -> None:
    """A holding shows its entry, the last price and the profit between them.

    Another user's account is not to be found.
    """
    order("1")
    ask("1", "POST", "/paper/prices", {"symbol": "AAPL", "price": 190})
    [held] = ask("1", "GET", "/positions")[1]["items"]
    assert (held["symbol"], held["entry_price"], held["price"]) == ("AAPL", 185.59, 190)
    assert Decimal(str(held["unrealized_pnl"])) == Decimal("441.00")
    assert ask("2", "GET", "/positions", query={"account_id": "1-main"})[0] == 404


def test_orders_and_signals_by_their_filters() -> None:
    """Each filter lets its own through."""
    order("1")
    order("1", symbol="MSFT", quantity=1)
    assert len(ask("1", "GET", "/orders")[1]["items"]) == 2
    [found] = ask(
        "1", "GET", "/orders", query={"symbol": "MSFT", "status": "filled", "account_id": "1-main"}
    )[1]["items"]
    where = {"route": "/orders/{order_id}", "path_parameters": {"order_id": found["order_id"]}}
    assert ask("1", "GET", f"/orders/{found['order_id']}", **where)[1] == found
    assert ask("2", "GET", f"/orders/{found['order_id']}", **where)[0] == 404
    assert len(ask("1", "GET", "/signals", query={"symbol": "MSFT", "variant": "manual"})[1]["items"]) == 1
    assert not ask("1", "GET", "/signals", query={"until": "2020-01-01"})[1]["items"]
    assert not ask("1", "GET", "/signals", query={"since": "2030-01-01", "until": "2020-01-01"})[1]["items"]


def test_events_page_by_page() -> None:
    """`next` is the `after` of the next page; a user has their own stream only."""
    order("1")
    pump.publish()
    first = ask("1", "GET", "/events", query={"limit": "1"})[1]
    rest = ask("1", "GET", "/events", query={"after": first["next"]})[1]
    assert [event["sequence"] for event in first["items"] + rest["items"]] == [1, 2, 3]
    assert rest["next"] is None
    assert not ask("2", "GET", "/events")[1]["items"]


def test_an_order_by_hand_comes_from_any_address() -> None:
    """The list of addresses is for webhooks: an API token permits an order by hand.

    A refusal is published to its owner.
    """
    records.add_user("2", allowed_addresses=["10.0.0.1"])
    records.add_account("2", "main")
    assert order("1", user_id=2)[0] == 202
    assert order("1", user_id=2, account="none")[1]["code"] == "account_not_found"
    told = [item for item in pump.items("outbox") if item["type"] == "signal.refused"]
    assert [(item["user_id"], item["payload"]["webhook"]) for item in told] == [("2", "/orders")]
