"""TradingView's strategy alerts name the position before and after.

A gap is published, and repaired if the strategy permits it.
"""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.users.credentials import Kind
from functions import receive_signals, serve_api
from testkit import pump, records
from testkit.gateway import call

D = Decimal
FREE = {"currency": "USDT", "slippage_bps": D(0), "commission_bps": D(0)}
GROUP = {
    "group_name": "my_strategy",
    "exchange": "BINANCE",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "MARKET",
    "qty_per": 10,
}


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """A user with a demo account on a strategy, without costs."""
    records.add_user("1", require_token=False)
    records.add_account("1", "binance", kind="demo", exchange="binance", **FREE)
    records.set_price("BTCUSDT", "50000")
    strategy(resync=False)


def strategy(*, resync: bool) -> None:
    """The strategy, taking the alerts' position as the truth or not."""
    records.add_strategy(accounts={"1-binance": {}}, resync=resync)


def alert(side: str, before: str | None, after: str, market: str = "FUTURES", **more: Any) -> dict[str, Any]:
    """An alert of the strategy, executed; its trace."""
    positions = {"prev_market_position": before} if before else {}
    body = {
        **GROUP,
        "side": side,
        "market_type": market,
        "market_position": after,
        **positions,
        **more,
        "token": records.add_token("1"),
    }
    status, answer, _ = call(receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"})
    assert status == 202, answer
    pump.execute()
    where = {"route": "/signals/{signal_id}", "path_parameters": {"signal_id": answer["signal_id"]}}
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    return dict(call(serve_api.app, "GET", f"/signals/{answer['signal_id']}", headers=headers, **where)[1])


def sides(trace: dict[str, Any]) -> list[tuple[str, bool]]:
    """The orders a signal made: side, and whether it may only reduce."""
    return [
        (order["side"], order["reduce_only"])
        for order in sorted(trace["orders"], key=lambda order: order["number"])
    ]


def position() -> Decimal:
    """Returns the futures position."""
    return next(
        (item["quantity"] for item in pump.items("portfolios") if item["item"] == "position#BTCUSDT"), D(0)
    )


def test_no_gap_no_notice() -> None:
    """Alerts that follow each other tell of nothing missed, the first one neither."""
    traces = [
        alert("buy", "flat", "long"),
        alert("sell", "long", "flat", qty_per=100),
        alert("sell", "flat", "short"),
    ]
    assert [trace["missed"] for trace in traces] == [None] * 3
    pump.publish()
    assert "signal.missed" not in [event["type"] for event in pump.events()]


def test_a_gap_is_told() -> None:
    """The exit never arrived: the next entry's trace says so, and an event tells it once."""
    first = alert("buy", "flat", "long")
    trace = alert("buy", "flat", "long", price=50001)
    assert trace["missed"] == {
        "known_position": "long",
        "prev_market_position": "flat",
        "last_signal_id": first["signal_id"],
        "last_received_at": first["received_at"],
    }
    assert "signal.missed" in [event["type"] for event in trace["events"]]
    pump.publish()
    [told] = [event for event in pump.events("user#1") if event["type"] == "signal.missed"]
    assert (told["payload"]["signal_id"], told["payload"]["symbol"], told["payload"]["group_name"]) == (
        trace["signal_id"],
        "BTCUSDT",
        "my_strategy",
    )
    assert alert("sell", "long", "flat")["missed"] is None


def test_the_next_alert_follows_the_gap() -> None:
    """After a gap the position is the alert's, so the gap is published once."""
    alert("buy", "flat", "long")
    assert alert("sell", "short", "short")["missed"]
    assert alert("sell", "short", "short", price=50001)["missed"] is None


def test_another_symbol_and_another_strategy() -> None:
    """Each strategy and symbol has a position of its own."""
    records.set_price("ETHUSDT", "3000")
    records.add_strategy(group_name="other", accounts={"1-binance": {}})
    alert("buy", "flat", "long")
    assert alert("buy", "flat", "long", symbol="ETHUSDT")["missed"] is None
    assert alert("buy", "flat", "long", group_name="other")["missed"] is None


def test_noticing_costs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert that follows costs acceptance one transaction, as any, and only one that does not a second."""
    transactions: list[int] = []
    transact = aws.transact

    def counted(writes: list[aws.Write]) -> None:
        transactions.append(len(writes))
        transact(writes)

    monkeypatch.setattr(aws, "transact", counted)
    body = {
        **GROUP,
        "side": "buy",
        "market_type": "FUTURES",
        "market_position": "long",
        "token": records.add_token("1"),
    }
    for before, calls in (("flat", 1), ("short", 2)):
        transactions.clear()
        call(
            receive_signals.app,
            "POST",
            "/api/webhook",
            body | {"prev_market_position": before},
            query={"wait": "0"},
        )
        assert len(transactions) == calls


def test_without_resync_the_order_is_what_it_says() -> None:
    """A buy against a short position that should be gone reduces it, as a buy does."""
    alert("sell", "flat", "short", qty_per=20)
    trace = alert("buy", "flat", "long", qty_per=100)
    assert sides(trace) == [("buy", True)]
    assert position() == 0


class TestResync:
    """A strategy that takes the alerts' position as the truth."""

    @pytest.fixture(autouse=True)
    def resyncing(self, trader: None) -> None:
        """The strategy resyncs."""
        strategy(resync=True)

    def test_the_missed_exit_is_made_up_for(self) -> None:
        """Short, and the alert that closed it never came: the entry to long closes it and opens."""
        alert("sell", "flat", "short")
        trace = alert("buy", "flat", "long")
        assert sides(trace) == [("buy", True), ("buy", False)]
        assert position() > 0

    def test_flat_is_flat(self) -> None:
        """The exit names no size that could leave something: all of it is closed, on whichever side."""
        alert("sell", "flat", "short")
        assert sides(alert("sell", "long", "flat", qty_per=50)) == [("buy", True)]
        assert position() == 0

    def test_a_reduction_opens_nothing(self) -> None:
        """The entry never came: the alert that takes a part of it off must not open the other way."""
        trace = alert("sell", "long", "long", qty_per=50)
        assert [leg["code"] for leg in trace["executions"][0]["refused"]] == ["no_position"]
        assert (trace["orders"], position()) == ([], 0)

    def test_a_reduction_against_the_wrong_position(self) -> None:
        """A holding against the strategy's position is closed, and an alert that reduces opens nothing."""
        alert("sell", "flat", "short")
        assert sides(alert("sell", "long", "long", qty_per=50)) == [("buy", True)]
        assert position() == 0

    def test_a_reduction_reduces(self) -> None:
        """Where nothing was missed a reduction takes its share off."""
        alert("buy", "flat", "long")
        held = position()
        alert("sell", "long", "long", qty_per=50)
        assert position() == held / 2

    def test_adding_adds(self) -> None:
        """Where nothing was missed an alert that adds opens more."""
        alert("buy", "flat", "long")
        held = position()
        assert sides(alert("buy", "long", "long", price=50001)) == [("buy", False)]
        assert position() > held

    def test_a_missed_entry_is_made_up_for_by_the_next(self) -> None:
        """The first entry never came: the one that adds opens, with its own size."""
        assert sides(alert("buy", "long", "long")) == [("buy", False)]

    def test_spot_does_not_buy_a_short_position_back(self) -> None:
        """On spot there is nothing to buy back when a strategy leaves its short position."""
        trace = alert("buy", "short", "flat", market="SPOT")
        assert [leg["code"] for leg in trace["executions"][0]["refused"]] == ["no_position"]
        assert sides(alert("buy", "flat", "long", market="SPOT")) == [("buy", False)]
        assert sides(alert("sell", "long", "flat", market="SPOT", qty_per=100)) == [("sell", False)]


@pytest.mark.parametrize(
    ("market", "side"), [("FUTURES", "long"), ("FUTURES", "buy"), ("FUTURES", "short"), ("SPOT", "buy")]
)
def test_reduce_only_opens_nothing(market: str, side: str) -> None:
    """An order that may only reduce opens nothing, whatever its word is."""
    trace = alert(side, None, "long", market=market, reduce_only=True)
    assert [leg["code"] for leg in trace["executions"][0]["refused"]] == ["no_position"]
    assert trace["orders"] == []


def test_reduce_only_closes_what_is_opposite() -> None:
    """`long`, reduce-only, closes a short position and leaves it at that."""
    alert("short", None, "short")
    assert sides(alert("long", None, "long", reduce_only=True)) == [("buy", True)]
    assert position() == 0
