"""Balances, positions and an account's settings: the same on every exchange."""

from decimal import Decimal

import pytest

from chalicelib.errors import NotDoable
from chalicelib.exchanges.protocol import OrderStatus
from tests.contract.exchanges.desk import BUY, SELL, Desk


def balance(desk: Desk, currency: str):
    return next(each for each in desk.exchange.balances() if each.currency == currency)


def position(desk: Desk):
    return {each.quantity: each for each in desk.exchange.positions()}


def test_spot_balances_show_what_orders_hold(spot: Desk):
    """Free is what an open order leaves, total what there is; both are exact after a trade with its fee."""
    assert (balance(spot, "USDT").free, balance(spot, "USDT").total) == (100000, 100000)
    spot.exchange.place(spot.order(BUY, "0.1", price="40000"))
    assert (balance(spot, "USDT").free, balance(spot, "USDT").total) == (96000, 100000)

    spot.exchange.cancel_all(spot.instrument)
    spot.exchange.place(spot.order(BUY, "1"))

    assert Decimal(50000) == balance(spot, "USDT").free
    assert Decimal("2.999") == balance(spot, "BTC").total
    assert {"BTC": Decimal("2.999"), "USDT": 50000} == {each.instrument_name: each.quantity for each in spot.exchange.positions()}


def test_spot_market_orders_count_base_units(spot: Desk):
    """A market buy of 0.1 buys 0.1, on exchanges too that take the amount of a market buy for quote currency."""
    assert Decimal("0.1") == spot.exchange.place(spot.order(BUY, "0.1")).filled


def test_futures_positions_are_signed_base_units(futures: Desk):
    """A short position is negative, in base units also where the exchange counts contracts, with its entry price and profit."""
    futures.exchange.place(futures.order(SELL, "0.3"))
    futures.move("49000")

    found = position(futures)[Decimal("-0.3")]
    assert ("BTCUSDT", Decimal(50000), Decimal(300)) == (found.instrument_name, found.entry_price, found.unrealized_profit)
    assert balance(futures, "USDT").free < balance(futures, "USDT").total


@pytest.mark.parametrize(("opening", "closing"), [(BUY, SELL), (SELL, BUY)])
def test_reduce_only_never_flips(futures: Desk, opening, closing):
    """A reduce-only order larger than the position closes it and goes no further, and with no position it is refused."""
    futures.exchange.place(futures.order(opening, "0.1"))
    futures.exchange.place(futures.order(closing, "0.5", reduce_only=True))
    assert position(futures) == {}

    with pytest.raises(NotDoable) as refusal:
        futures.exchange.place(futures.order(closing, "0.1", reduce_only=True))
    assert refusal.value.code == "exchange_nothing_to_reduce"
    assert position(futures) == {}


def test_reduce_only_stop_closes_the_position(futures: Desk):
    """A reduce-only stop, as a stop-loss is placed, closes the position when it fires."""
    futures.exchange.place(futures.order(BUY, "0.1"))
    futures.exchange.place(futures.order(SELL, "0.1", stop_price="49000", trigger_above=False, reduce_only=True))

    futures.move("48990")

    assert position(futures) == {}


def test_a_reduce_only_stop_without_position_does_nothing(futures: Desk):
    """A stop-loss left over after its position has gone opens none when it fires."""
    futures.exchange.place(futures.order(BUY, "0.1"))
    futures.exchange.place(futures.order(SELL, "0.1", stop_price="49000", trigger_above=False, reduce_only=True))
    futures.exchange.place(futures.order(SELL, "0.1", reduce_only=True))

    futures.move("48990")

    assert position(futures) == {}


def test_leverage_and_margin_mode_are_set_where_they_differ(futures: Desk):
    """The first order sets them, further ones leave the settings alone."""
    fields = {"leverage": 7, "margin_mode": "isolated"}
    futures.exchange.place(futures.order(BUY, "0.1", price="49000", **fields))
    held = futures.holdings
    assert held["leverage"]["BTCUSDT"] == 7
    if futures.name != "okx":  # there the mode goes with each order
        assert "isolated" in {held["margin_mode"], held["margin_modes"].get("BTCUSDT")}

    sent = len(futures.simulator.requests())
    futures.exchange.place(futures.order(BUY, "0.1", price="49000", **fields))
    again = futures.simulator.requests()[sent:]
    assert not [call for call in again if "lever" in call["path"].lower() or "margin" in call["path"].lower()]

    sent = len(futures.simulator.requests())
    futures.open().place(futures.order(BUY, "0.1", price="49000", **fields))
    changed = [call["path"] for call in futures.simulator.requests()[sent:] if call["method"] == "POST"]
    assert len(changed) == 1, "another session finds them set and changes nothing"


def test_hedged_accounts_keep_long_and_short_apart(futures: Desk):
    """In hedge mode both positions stand side by side, and a reducing order closes its own."""
    for side in (BUY, SELL):
        futures.exchange.place(futures.order(side, "0.1", hedged=True))
    assert futures.holdings["hedged"]
    assert {Decimal("0.1"), Decimal("-0.1")} == set(position(futures))

    futures.exchange.place(futures.order(SELL, "0.1", hedged=True, reduce_only=True))
    assert {Decimal("-0.1")} == set(position(futures))


def test_position_mode_that_cannot_change_is_a_refusal(futures: Desk):
    """With a position open the mode stays as it is, and the order is refused rather than placed in the wrong mode."""
    futures.exchange.place(futures.order(BUY, "0.1"))

    with pytest.raises(NotDoable) as refusal:
        futures.exchange.place(futures.order(BUY, "0.1", hedged=True))

    assert refusal.value.code == "exchange_setting_locked"
    assert {Decimal("0.1")} == set(position(futures))


def test_reducing_leaves_leverage_alone(futures: Desk):
    """An order that closes must not fail or wait for a setting that does not concern it."""
    futures.exchange.place(futures.order(BUY, "0.1"))
    placed = futures.open().place(futures.order(SELL, "0.1", reduce_only=True, leverage=20, margin_mode="cross"))

    assert OrderStatus.FILLED is placed.status
    assert futures.holdings["leverage"] == {}


def test_keys_are_checked(desk: Desk):
    """A key that may withdraw is refused unless forced, one that may not trade in any case, and an unknown one too."""
    assert desk.exchange.check_key().trade
    rich = desk.open(credentials=desk.simulator.account(desk.name, balances=desk.balances, permissions=["read", "trade", "withdraw"]))
    reader = desk.open(credentials=desk.simulator.account(desk.name, balances=desk.balances, permissions=["read"]))

    assert rich.check_key(force=True).withdraw
    for exchange, code in ((rich, "exchange_key_may_withdraw"), (reader, "exchange_key_cannot_trade")):
        with pytest.raises(NotDoable) as refusal:
            exchange.check_key()
        assert code == refusal.value.code
