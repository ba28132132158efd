"""Trades are added up once each, whatever dies, and the figures are read from a few items."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from botocore.client import BaseClient

from chalicelib import aws
from chalicelib.journal import add_up, store
from chalicelib.journal.models import Trade
from functions import add_up_trades
from testkit import pump, records
from testkit.api import Api
from testkit.crash import Killed, killed_after
from testkit.gateway import CONTEXT, stream_event
from tests.unit.journal.test_trades import BUY, SELL, trade, trader

__all__ = ["trader"]
D = Decimal
NOW = datetime(2026, 1, 22, 15, 30, tzinfo=UTC)


@pytest.fixture
def api(trader: None) -> Api:
    found = Api()
    found.sign_in("1")
    return found


def closed(number: int, net: str, **more: object) -> Trade:
    """A trade, stored as its fill stores it."""
    fields = {
        "trade_id": f"{number:032}",
        "user_id": "1",
        "account_id": "1-main",
        "exchange": "paper",
        "market_type": "spot",
        "symbol": "BTCUSDT",
        "strategy": None,
        "side": "long",
        "quantity": "1",
        "entry_price": "100",
        "exit_price": "100",
        "fees": "1",
        "other_fees": {},
        "gross_profit": D(net) + 1,
        "net_profit": net,
        "currency": "USDT",
        "slippage_bps": None,
        "order_id": "o",
        "opened_at": NOW,
        "closed_at": NOW + timedelta(minutes=number),
    }
    found = Trade.model_validate(fields | more)
    aws.transact(store.trade_writes([found]))
    return found


def figures(api: Api, **query: str) -> list[dict]:
    status, body = api("1", "GET", "/performance", query={"from": "2026-01-01", "to": "2026-01-31"} | query)
    assert status == 200, body
    assert (body["total"], body["next"]) == (len(body["items"]), None)
    return body["items"]


def totals() -> tuple[int, Decimal]:
    """Trades and net result of the user, as added up."""
    [item] = [each for each in pump.items("performance") if each["subject"] == "1#user"]
    found = add_up.totals_from_item(item)
    return found.trades, found.net


def test_from_the_signal_to_the_figure(api: Api) -> None:
    """A round trip shows in the performance of its strategy, account, symbol and user."""
    trade(BUY, SELL)
    assert api("1", "GET", "/performance")[1]["items"] == []
    pump.add_up()
    for by, name, value in (
        ("strategy", "strategy", None),
        ("account", "account_id", "1-main"),
        ("symbol", "symbol", "AAPL"),
        ("user", "user_id", 1),
    ):
        [row] = api("1", "GET", "/performance", query={"by": by})[1]["items"]
        assert row[name] == value
        assert (row["trades"], row["win_rate"], row["net_profit"], row["currency"]) == (1, 1, 393.45, "USD")
        assert (row["profit_factor"], row["max_drawdown"]) == (None, 0)


def test_groups_and_currencies_apart(api: Api) -> None:
    """Dollars count at par, other currencies in rows of their own."""
    closed(1, "10", strategy="a")
    closed(2, "-4", strategy="a", currency="USDC")
    closed(3, "7", strategy="b", currency="BTC")
    pump.add_up()
    rows = [(row["strategy"], row["currency"], row["trades"], row["net_profit"]) for row in figures(api)]
    assert rows == [("b", "BTC", 1, 7), ("a", "USD", 2, 6)]


def test_the_period(api: Api) -> None:
    """Whole days in UTC, both included. Each day's result on request."""
    closed(1, "10")
    closed(60 * 24, "-4")
    pump.add_up()
    [row] = figures(api, days="true")
    assert row["days"] == [
        {"day": "2026-01-22", "trades": 1, "net_profit": 10},
        {"day": "2026-01-23", "trades": 1, "net_profit": -4},
    ]
    assert [row["net_profit"] for row in figures(api, to="2026-01-22")] == [10]
    assert [row["net_profit"] for row in figures(api, **{"from": "2026-01-23T23:00:00Z"})] == [-4]
    assert figures(api, to="2026-01-21") == []


def test_ratios_with_a_capital(api: Api) -> None:
    """The given one, or of a simulated account what it began with."""
    closed(1, "1000")
    closed(60 * 24, "-500")
    pump.add_up()
    assert figures(api)[0]["sharpe"] is None
    [given] = figures(api, capital="100000")
    [own] = figures(api, by="account")
    assert given["sharpe"] == own["sharpe"]
    assert own["sharpe"] == pytest.approx(
        (0.01 - 500 / 101000) / 2 / ((0.01 + 500 / 101000) / 2**0.5) * 365**0.5
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "moon"}, "by"),
        ({"from": "never"}, "from"),
        ({"from": "2024-01-01", "to": "2026-01-01"}, "from"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "from"),
        ({"to": "0001-01-01"}, "to"),
        ({"capital": "much"}, "capital"),
        ({"capital": "-1"}, "capital"),
        ({"capital": "NaN"}, "capital"),
        ({"days": "maybe"}, "days"),
    ],
)
def test_bad_queries_name_the_field(api: Api, query: dict[str, str], field: str) -> None:
    """Nothing is guessed."""
    status, body = api("1", "GET", "/performance", query=query)
    assert status == 400
    assert field in body["error"]


def test_too_many_totals_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the first day that would do."""
    monkeypatch.setattr("chalicelib.journal.performance_routes._MOST", 2)
    for day in range(3):
        closed(day * 24 * 60, "1")
    pump.add_up()
    query = {"from": "2026-01-01", "to": "2026-01-31"}
    status, body = api("1", "GET", "/performance", query=query)
    assert status == 400
    assert "2026-01-23" in body["error"]
    assert len(api("1", "GET", "/performance", query=query | {"from": "2026-01-23"})[1]["items"]) == 1


def test_a_read_costs_days_and_not_trades(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 trades of two strategies on two days are four items of one query."""
    for number in range(300):
        closed(number * 5, "1", strategy="ab"[number % 2])
    pump.add_up()
    seen: list[int] = []
    real = BaseClient._make_api_call

    def counted(client: BaseClient, name: str, arguments: dict) -> dict:
        answer = real(client, name, arguments)
        if name == "Query":
            seen.append(answer["ScannedCount"])
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    rows = figures(api)
    assert sum(row["trades"] for row in rows) == 300
    assert seen == [4]


def test_delivered_again(api: Api) -> None:
    """A stream delivers records again, alone and in a batch."""
    for number in range(25):
        closed(number, "1")
    pump.add_up()
    pump.add_up()
    assert totals() == (25, 25)


@pytest.mark.parametrize("died_after", range(1, 10))
def test_a_killed_function_neither_loses_nor_doubles(trader: None, died_after: int) -> None:
    """It dies after each of its calls; the stream delivers the batch again."""
    for number in range(25):
        closed(number, "1")
    items = sorted(pump.items("trades"), key=lambda item: str(item["closed"]))
    event = stream_event(items, ("user_id", "closed"))
    with killed_after(died_after) as made, suppress(Killed):
        add_up_trades.handler(event, CONTEXT)
    assert len(made) == died_after
    add_up_trades.handler(event, CONTEXT)
    assert totals() == (25, 25)


def test_two_at_a_time(trader: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The totals have changed since they were read: read and added again."""
    keys = [(each.user_id, each.sort_key) for each in (closed(1, "1"), closed(2, "2"))]
    real, done = aws.transact, []

    def interrupted(writes: list) -> None:
        if not done:
            done.append(True)
            add_up.add_up(keys[:1])  # another function's run, in between
        real(writes)

    monkeypatch.setattr(aws, "transact", interrupted)
    add_up.add_up(keys)
    assert totals() == (2, 3)


def test_the_sweep_adds_what_the_stream_lost(trader: None) -> None:
    """Only trades that have waited, and each once."""
    closed(0, "1")
    assert add_up.sweep(timedelta(minutes=1), NOW) == 0
    assert add_up.sweep(timedelta(minutes=1), NOW + timedelta(minutes=2)) == 1
    assert add_up.sweep(timedelta(minutes=1), NOW + timedelta(minutes=2)) == 0
    assert totals() == (1, 1)


def test_a_user_sees_own_figures(api: Api) -> None:
    """Another user's are refused like the user's other records."""
    records.add_user("3")
    api.sign_in("3")
    closed(1, "1")
    pump.add_up()
    assert api("3", "GET", "/performance", query={"by": "user", "from": "2026-01-01"})[1]["items"] == []
    assert api("3", "GET", "/performance", query={"user_id": "1"})[0] in (403, 404)


def test_admins_compare_users(api: Api) -> None:
    """A row for each user, or for the one that is named. A user gets no other's."""
    records.add_user("2", role="admin")
    api.sign_in("2")
    closed(1, "1")
    closed(2, "5", user_id="9")
    pump.add_up()
    query = {"by": "user", "from": "2026-01-01", "to": "2026-01-31"}

    def rows(user: str, **more: str) -> list[tuple[int, int]]:
        items = api(user, "GET", "/performance", query=query | more)[1]["items"]
        return [(row["user_id"], row["net_profit"]) for row in items]

    assert rows("2") == [(1, 1), (9, 5)]
    assert rows("2", user_id="1") == rows("1") == [(1, 1)]
