"""An account's worth over time."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.paper.book import Book, Position
from chalicelib.portfolio import equity
from functions import receive_signals
from testkit import cloud, pump, records
from testkit.api import Api
from testkit.gateway import call

ROUTE = "/accounts/{account_id}/equity"


@pytest.fixture
def api():
    with cloud.emulated():
        records.add_user("1")
        records.add_account("1", "main", created_at="2026-01-01T00:00:00+00:00")
        records.add_user("2")
        found = Api()
        found.sign_in("1")
        found.sign_in("2")
        yield found


def trade(**signal):
    """A signal on the paper account, executed."""
    status, answer, _ = call(
        receive_signals.app,
        "POST",
        "/api/webhook",
        {"token": records.add_token("1"), **signal},
        query={"wait": "0"},
    )
    assert status == 202, answer
    pump.execute()


def test_paper(api):
    """A paper account begins with its cash; each fill is a point, valued at the prices then.

    The last point is valued at today's.
    """
    trade(symbol="AAPL", side="buy", qty=100, price=185.5)
    assert api("1", "POST", "/paper/prices", {"symbol": "AAPL", "price": 200})[0] == 201
    status, body = api("1", "GET", ROUTE, account_id="1-main")
    assert status == 200
    start, bought, now = body["items"]
    assert start == {"at": "2026-01-01T00:00:00+00:00", "equity": 100_000}
    assert bought["equity"] == pytest.approx(100_000 - 18_577.56 + 18_550)
    assert now["equity"] == pytest.approx(100_000 - 18_577.56 + 20_000)
    assert bought["at"] < now["at"]


def test_futures():
    """A futures position counts by its profit, a short one when the price falls.

    Without a price it counts as zero.
    """
    account = Account(
        account_id="1", user_id="1", name="main", exchange="paper", kind="paper", currency="USDT"
    )
    book = Book(
        account, {"USDT": Decimal(5000)}, positions={"BTCUSDT": Position("USDT", Decimal(-2), Decimal(1000))}
    )
    assert equity.book_equity(book, {"BTCUSDT": Decimal(900)}) == Decimal(5200)
    assert equity.book_equity(book, {}) == Decimal(5000)


def test_since_and_limit(api):
    """The newest points since a time."""
    for number in (1, 2, 3):
        trade(symbol="AAPL", side="buy", qty=number, price=100)
    today = datetime.now(UTC).replace(hour=0, minute=0).isoformat()
    _, body = api("1", "GET", ROUTE, account_id="1-main", query={"since": today})
    assert len(body["items"]) == 4
    _, body = api("1", "GET", ROUTE, account_id="1-main", query={"limit": "2"})
    assert len(body["items"]) == 3
    assert [item["at"] for item in body["items"]] == sorted(item["at"] for item in body["items"])


def test_real(api):
    """A real account's points are what its exchange said."""
    records.add_account("1", "real", kind="live", exchange="okx", created_at="2026-01-01T00:00:00+00:00")
    at = datetime(2026, 1, 2, tzinfo=UTC)
    aws.write(equity.point_write("1-real", Decimal("1234.5"), at))
    aws.write(aws.put_write("snapshots", {"account_id": "1-real", "at": "latest", "equity": Decimal(1)}))
    _, body = api("1", "GET", ROUTE, account_id="1-real")
    assert body["items"] == [{"at": at.isoformat(), "equity": 1234.5}]


def test_not_for_others(api):
    """Another user's account is not there; a time that is none is refused."""
    assert api("2", "GET", ROUTE, account_id="1-main")[0] == 404
    assert api("1", "GET", ROUTE, account_id="nobody")[0] == 404
    assert api("1", "GET", ROUTE, account_id="1-main", query={"since": "yesterday"})[0] == 400


def test_every_point_values_everything_at_its_price(api):
    """A trade in one symbol does not set the others back to their cost."""
    trade(symbol="AAPL", side="buy", qty=100, price=100)
    api("1", "POST", "/paper/prices", {"symbol": "AAPL", "price": 200})
    trade(symbol="MSFT", side="buy", qty=1, price=100)
    _, body = api("1", "GET", ROUTE, account_id="1-main")
    *_, traded, now = body["items"]
    assert traded["equity"] == now["equity"]
    assert traded["equity"] > 109_900


def test_a_new_starting_cash_leaves_the_past_alone(api):
    """The first point is what the account began with; a reset is a point of its own."""
    trade(symbol="AAPL", side="buy", qty=1, price=100)
    for cash in (500, 700):
        assert (
            api("1", "PATCH", "/accounts/{account_id}", {"starting_cash": cash}, account_id="1-main")[0]
            == 200
        )
    _, body = api("1", "GET", ROUTE, account_id="1-main")
    assert body["items"][0]["equity"] == 100_000
    assert api("1", "POST", "/accounts/{account_id}/reset", account_id="1-main")[0] == 200
    _, body = api("1", "GET", ROUTE, account_id="1-main")
    assert [item["equity"] for item in body["items"]][:1] == [100_000]
    assert [item["equity"] for item in body["items"]][-2:] == [700, 700]


def test_positions_and_equity_know_the_same_prices(api):
    """A coin bought with one dollar coin is priced by any other, and money earned in a coin counts."""
    records.add_account("1", "main", currency="USDT", slippage_bps=Decimal(0), commission_bps=Decimal(0))
    trade(symbol="ETHUSDC", side="buy", qty=1, price=2000)
    trade(symbol="ETHBTC", side="sell", qty="0.5", price="0.04")
    api(
        "1",
        "POST",
        "/paper/prices",
        {"prices": [{"symbol": "BTCUSDT", "price": 50000}, {"symbol": "ETHUSDC", "price": 2100}]},
    )
    _, body = api("1", "GET", "/positions")
    shown = {item["symbol"]: (item["quantity"], item["price"], item["value"]) for item in body["items"]}
    assert shown == {"ETH": (0.5, 2100, 1050), "BTC": (0.02, 50000, 1000)}
    _, body = api("1", "GET", ROUTE, account_id="1-main")
    assert body["items"][-1]["equity"] == 100_000 - 2000 + 1050 + 1000
    trade(symbol="BTCUSDT", side="sell", qty="0.02", price=50000)
    _, body = api("1", "GET", ROUTE, account_id="1-main")
    assert body["items"][-1]["equity"] == 100_000 - 2000 + 1050 + 1000
