"""Trades of accounts at exchanges: booked with the order that closes a position, once."""

from contextlib import suppress
from decimal import Decimal

import pytest

from chalicelib.errors import Retryable
from chalicelib.execution import execute_signal
from chalicelib.journal import store
from chalicelib.journal.recount import compare
from chalicelib.trading import MarketType
from simulator.fixtures import VENUES
from testkit import pump
from testkit.crash import Killed, killed_after
from tests.unit.execution.conftest import IDS, Live

D = Decimal
pytestmark = pytest.mark.usefixtures("unlimited")


def flat(open_account, place: tuple[str, MarketType]) -> Live:
    """An account that holds nothing but dollars."""
    return open_account(*place, balances={"spot": {"USDT": "100000"}, "futures": {"USDT": "100000"}})


def recounted_alike(live: Live, trades: int) -> None:
    """The stored orders give the stored trades."""
    stored = [store.trade_from_item(item) for item in pump.items("trades")]
    found = compare(live.order_store(), stored)
    assert (found.differences, found.compared) == ([], trades)


@pytest.mark.parametrize("place", VENUES, ids=IDS)
def test_the_result_is_what_the_exchange_paid(open_account, place: tuple[str, MarketType]) -> None:
    """A round trip's net result is the change of the dollar balance, up to dust of a fee in the asset."""
    live = flat(open_account, place)
    live.run("buy")
    live.simulator.price("BTCUSDT", "51000")
    live.run("close")
    [trade] = pump.items("trades")
    change = D(live.holdings["balances"][live.market_type.value]["USDT"]) - 100000
    dust = D("0.00001") * 51000 if live.market_type is MarketType.SPOT else 0
    assert abs(trade["net_profit"] - change) <= dust
    assert (trade["side"], trade["symbol"], trade["other_fees"]) == ("long", "BTCUSDT", {})
    assert trade["fees"] > 0
    recounted_alike(live, 1)
    assert trade["slippage_bps"] is not None


def test_a_reversal_and_a_partial_exit(futures: Live) -> None:
    """`short` closes the long position: a trade. Half of the short position closed is none yet."""
    futures.run("buy")
    futures.run("short")
    [long] = pump.items("trades")
    assert (long["side"], long["quantity"]) == ("long", D("0.1"))
    futures.run("buy", quantity=D("0.05"))
    assert len(pump.items("trades")) == 1
    futures.run("close")
    [short] = [each for each in pump.items("trades") if each["side"] == "short"]
    assert short["quantity"] == D("0.1")
    recounted_alike(futures, 2)


def test_a_position_from_elsewhere_has_no_trade(open_account) -> None:
    """What it cost is not known, so nothing is claimed, until the position has been flat."""
    live = open_account("bybit", MarketType.SPOT)  # it holds 2 BTC that no order of ours bought
    live.run("sell")
    assert pump.items("trades") == []


@pytest.mark.parametrize("died_after", range(1, 12))
def test_a_killed_worker_neither_loses_nor_doubles(open_account, died_after: int) -> None:
    """The worker dies after each of its calls to AWS while it closes; the message comes again, twice."""
    live = flat(open_account, ("bybit", MarketType.FUTURES))
    live.run("buy")
    closing = live.signal("close")
    with killed_after(died_after), suppress(Killed, Retryable):
        execute_signal.execute_signal(closing, 20)
    live.execute(closing)
    live.execute(closing)
    live.follow()
    [trade] = pump.items("trades")
    assert trade["order_id"].startswith(closing.signal_id)
    assert live.events().count("trade.closed") == 1
