"""Balances, positions and an account's settings: the same on every exchange."""

from dataclasses import replace
from decimal import Decimal

import pytest

from chalicelib.errors import NotDoable
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.execution.closing import closing_order
from chalicelib.trading import MarketType, PositionSide
from simulator.client import Simulator
from tests.contract.exchanges.exchange_rig import BUY, SELL, ExchangeRig, SimulatedRig


def balance(rig: ExchangeRig, currency: str):
    return next(each for each in rig.exchange.balances() if each.currency == currency)


def position(rig: ExchangeRig):
    return {each.quantity: each for each in rig.exchange.positions()}


def test_spot_balances_show_what_orders_hold(spot: ExchangeRig):
    """Free is what an open order leaves, total what there is; both are exact after a trade with its fee."""
    assert (balance(spot, "USDT").free, balance(spot, "USDT").total) == (100000, 100000)
    spot.exchange.place(spot.order(BUY, "0.1", price="40000"))
    assert (balance(spot, "USDT").free, balance(spot, "USDT").total) == (96000, 100000)

    spot.exchange.cancel_all(spot.instrument)
    spot.exchange.place(spot.order(BUY, "1"))

    assert Decimal(50000) == balance(spot, "USDT").free
    assert Decimal("2.999") == balance(spot, "BTC").total
    assert {"BTC": Decimal("2.999"), "USDT": 50000} == {
        each.instrument_name: each.quantity for each in spot.exchange.positions()
    }


def test_spot_market_orders_count_base_units(spot: ExchangeRig):
    """A market buy of 0.1 buys 0.1, also on exchanges whose market buys take a quote amount."""
    assert Decimal("0.1") == spot.exchange.place(spot.order(BUY, "0.1")).filled


def test_futures_positions_are_signed_base_units(futures: ExchangeRig):
    """A short position is negative, in base units also where the exchange counts contracts, with its entry
    price and profit.
    """
    futures.exchange.place(futures.order(SELL, "0.3"))
    futures.move("49000")

    found = position(futures)[Decimal("-0.3")]
    assert ("BTCUSDT", Decimal(50000), Decimal(300)) == (
        found.instrument_name,
        found.entry_price,
        found.unrealized_profit,
    )
    assert balance(futures, "USDT").free < balance(futures, "USDT").total


@pytest.mark.parametrize(("opening", "closing"), [(BUY, SELL), (SELL, BUY)])
def test_reduce_only_never_flips(futures: ExchangeRig, opening, closing):
    """A reduce-only order larger than the position closes it and goes no further, and with no position it is
    refused.
    """
    futures.exchange.place(futures.order(opening, "0.1"))
    futures.exchange.place(futures.order(closing, "0.5", reduce_only=True))
    assert position(futures) == {}

    with pytest.raises(NotDoable) as refusal:
        futures.exchange.place(futures.order(closing, "0.1", reduce_only=True))
    assert refusal.value.code == "exchange_nothing_to_reduce"
    assert position(futures) == {}


def test_reduce_only_stop_closes_the_position(futures: ExchangeRig):
    """A reduce-only stop, as a stop-loss is placed, closes the position when it fires."""
    futures.exchange.place(futures.order(BUY, "0.1"))
    futures.exchange.place(
        futures.order(SELL, "0.1", stop_price="49000", trigger_above=False, reduce_only=True)
    )

    futures.move("48990")

    assert position(futures) == {}


def test_a_reduce_only_stop_without_position_does_nothing(futures: ExchangeRig):
    """A stop-loss left over after its position has gone opens none when it fires."""
    futures.exchange.place(futures.order(BUY, "0.1"))
    futures.exchange.place(
        futures.order(SELL, "0.1", stop_price="49000", trigger_above=False, reduce_only=True)
    )
    futures.exchange.place(futures.order(SELL, "0.1", reduce_only=True))

    futures.move("48990")

    assert position(futures) == {}


def test_leverage_and_margin_mode_are_set_where_they_differ(futures: ExchangeRig):
    """The first order sets them if they differ. Further orders do not change the settings."""
    fields = {"leverage": 7, "margin_mode": "isolated"}
    if futures.name == "bybit":  # there the margin mode is the whole account's
        futures.modes(margin_mode="isolated")
    futures.exchange.place(futures.order(BUY, "0.1", price="49000", **fields))
    held = futures.holdings
    assert held["leverage"]["BTCUSDT"] == 7
    if futures.name != "okx":  # there the mode goes with each order
        of_account = futures.name == "bybit"
        assert (held["margin_mode"] if of_account else held["margin_modes"]["BTCUSDT"]) == "isolated"

    sent = len(futures.simulator.requests())
    futures.exchange.place(futures.order(BUY, "0.1", price="49000", **fields))
    again = futures.simulator.requests()[sent:]
    assert not [call for call in again if "lever" in call["path"].lower() or "margin" in call["path"].lower()]

    sent = len(futures.simulator.requests())
    futures.open().place(futures.order(BUY, "0.1", price="49000", **fields))
    changed = [call["path"] for call in futures.simulator.requests()[sent:] if call["method"] == "POST"]
    assert len(changed) == 1, "another session finds them set and changes nothing"


def test_hedged_accounts_keep_long_and_short_apart(futures: ExchangeRig):
    """In hedge mode both positions exist next to each other, and a reducing order closes its own."""
    futures.modes(hedged=True)
    for side in (BUY, SELL):
        futures.exchange.place(futures.order(side, "0.1", hedged=True))
    assert futures.holdings["hedged"]
    assert {Decimal("0.1"), Decimal("-0.1")} == set(position(futures))

    futures.exchange.place(futures.order(SELL, "0.1", hedged=True, reduce_only=True))
    assert {Decimal("-0.1")} == set(position(futures))


def test_position_mode_that_cannot_change_is_a_refusal(futures: ExchangeRig):
    """With a position open the mode stays as it is, and the order is refused rather than placed in the wrong
    mode.
    """
    futures.exchange.place(futures.order(BUY, "0.1"))

    with pytest.raises(NotDoable) as refusal:
        futures.exchange.place(futures.order(BUY, "0.1", hedged=True))

    wanted = "exchange_setting_locked" if futures.name == "bybit" else "account_in_one_way_mode"
    assert wanted == refusal.value.code
    assert {Decimal("0.1")} == set(position(futures))


def test_reducing_leaves_leverage_alone(futures: ExchangeRig):
    """An order that closes must not fail or wait for a setting that does not concern it."""
    futures.exchange.place(futures.order(BUY, "0.1"))
    placed = futures.open().place(
        futures.order(SELL, "0.1", reduce_only=True, leverage=20, margin_mode="cross")
    )

    assert OrderStatus.FILLED is placed.status
    assert futures.holdings["leverage"] == {}


def test_keys_are_checked(rig: ExchangeRig):
    """A key that may withdraw is refused unless forced, one that may not trade in any case, and an unknown
    one too.
    """
    assert rig.exchange.check_key().trade
    rich = rig.open(
        credentials=rig.simulator.account(
            rig.name, balances=rig.balances, permissions=["read", "trade", "withdraw"]
        )
    )
    reader = rig.open(
        credentials=rig.simulator.account(rig.name, balances=rig.balances, permissions=["read"])
    )

    assert rich.check_key(force=True).withdraw
    for exchange, code in ((rich, "exchange_key_may_withdraw"), (reader, "exchange_key_cannot_trade")):
        with pytest.raises(NotDoable) as refusal:
            exchange.check_key()
        assert code == refusal.value.code


def test_bybits_demo_keys_are_checked_by_a_call_that_demo_has(simulator):
    """Demo trading has no key query: a good key is kept as unverified, an unknown one is refused."""
    rig = SimulatedRig("bybit", MarketType.SPOT, simulator)
    demo = replace(rig.credentials, demo=True)
    assert not rig.open(credentials=demo).check_key().verified
    assert rig.exchange.check_key().verified
    with pytest.raises(NotDoable) as refusal:
        rig.open(credentials=replace(demo, api_key="another")).check_key()
    assert refusal.value.code == "exchange_key_rejected"


def test_binances_order_list_has_our_id(simulator):
    """Without one ccxt puts its broker id there."""
    rig = SimulatedRig("binance", MarketType.SPOT, simulator)
    sent = []
    call = rig.exchange._api.client.privatePostOrderListOco
    rig.exchange._api.client.privatePostOrderListOco = lambda request: sent.append(request) or call(request)
    stop = rig.order(SELL, "0.1", stop_price="49000", trigger_above=False)
    target = rig.order(SELL, "0.1", stop_price="51000", trigger_above=True)
    rig.exchange.place(replace(stop, oco_sibling=target))
    assert [each["listClientOrderId"] for each in sent] == [stop.client_order_id]


@pytest.mark.parametrize("margin_mode", ["cross", "isolated"])
@pytest.mark.parametrize("sides", [{"net": "0.3"}, {"net": "-0.3"}, {"long": "0.3", "short": "-0.3"}])
def test_a_position_says_what_it_is_and_is_closed_as_that(
    futures: ExchangeRig, sides: dict[str, str], margin_mode: str
):
    """It carries its side in hedge mode and its margin mode, and the order made of it closes it, whatever
    mode that is.
    """
    key = futures.credentials.api_key
    futures.simulator.call("POST", "settings", api_key=key, hedged="net" not in sides)
    futures.simulator.call("POST", "settings", api_key=key, symbol="BTCUSDT", margin_mode=margin_mode)
    for side, quantity in sides.items():
        futures.simulator.call(
            "POST",
            "trade",
            api_key=key,
            symbol="BTCUSDT",
            quantity=quantity,
            side=side,
            margin_mode=margin_mode,
        )

    found = futures.exchange.positions()

    named = {"net": None, "long": PositionSide.LONG, "short": PositionSide.SHORT}
    assert {(named[side], Decimal(quantity)) for side, quantity in sides.items()} == {
        (each.position_side, each.quantity) for each in found
    }
    # Bybit's margin mode is the whole account's.
    assert {each.margin_mode for each in found} == {None if futures.name == "bybit" else margin_mode}
    for number, each in enumerate(found):
        request = closing_order(each, futures.instrument, abs(each.quantity))
        futures.exchange.place(replace(request, client_order_id=f"thclosing{number}"))
    assert position(futures) == {}


def test_closing_changes_no_setting(futures: ExchangeRig):
    """An order that reduces leaves position mode, margin mode and leverage as they are, and does not even ask
    for them.
    """
    futures.exchange.place(futures.order(BUY, "0.1"))
    (found,) = futures.exchange.positions()
    sent = len(futures.simulator.requests())
    futures.open().place(
        replace(closing_order(found, futures.instrument, Decimal("0.1")), client_order_id="thclosing")
    )
    paths = [call["path"] for call in futures.simulator.requests()[sent:]]
    assert not [
        path
        for path in paths
        if any(word in path.lower() for word in ("lever", "margin", "mode", "dual", "config"))
    ]


@pytest.mark.parametrize(("opened", "moved"), [(BUY, "60000"), (BUY, "49000"), (SELL, "51000")])
def test_the_free_balance_of_a_unified_account(simulator: Simulator, opened, moved):
    """On Bybit it is what the account has available.

    Profit and loss that are not realised count, less fees and margin.
    """
    rig = SimulatedRig("bybit", MarketType.FUTURES, simulator)
    rig.exchange.place(rig.order(opened, "0.1"))
    before = balance(rig, "USDT")
    rig.move(moved)
    after = balance(rig, "USDT")
    profit = (Decimal(moved) - 50000) * (Decimal("0.1") if opened is BUY else Decimal("-0.1"))
    assert after.free - before.free == profit
    assert after.total == before.total
    whole = (after.free / (Decimal(moved) / 10 * (1 + Decimal("0.01")))).quantize(
        rig.instrument.quantity_step
    )
    assert OrderStatus.FILLED is rig.exchange.place(rig.order(opened, str(whole))).status


def test_a_spot_purchase_cannot_be_paid_with_a_profit(simulator: Simulator):
    """A loss that is not realised takes from the free balance on spot; a profit adds nothing to it."""
    rig = SimulatedRig("bybit", MarketType.FUTURES, simulator)
    rig.exchange.place(rig.order(BUY, "0.1"))
    spot = SimulatedRig("bybit", MarketType.SPOT, simulator)
    spot.credentials = rig.credentials
    spot.exchange = spot.open()
    before = balance(spot, "USDT").free
    rig.move("60000")
    assert balance(spot, "USDT").free == before
    rig.move("49000")
    assert balance(spot, "USDT").free == before - 100


def test_isolated_margin_loses_its_own_margin_only(simulator: Simulator):
    """Bybit reports no available balance of the account there; a loss does not reduce the free balance."""
    rig = SimulatedRig("bybit", MarketType.FUTURES, simulator)
    simulator.call("POST", "settings", api_key=rig.credentials.api_key, margin_mode="isolated")
    rig.exchange.place(rig.order(BUY, "0.1"))
    before = balance(rig, "USDT").free
    rig.move("49000")
    assert balance(rig, "USDT").free == before


def test_more_than_the_largest_order_at_market_is_refused(rig: ExchangeRig):
    """By the exchange too, with its own code, where the stored metadata does not know the maximum yet."""
    where = {"exchange": rig.name, "market": rig.market_type.value}
    rig.simulator.call("POST", "book", symbol="BTCUSDT", market_maximum="0.05", **where)
    if (rig.name, rig.market_type) == ("okx", MarketType.SPOT):
        rig.simulator.call("POST", "book", symbol="BTCUSDT", market_value="2500", **where)
    with pytest.raises(NotDoable) as refusal:
        rig.exchange.place(rig.order(BUY, "0.1"))
    codes = {
        "binance-spot": "-1013",
        "binance-futures": "-4005",
        "bybit-spot": "170135",
        "bybit-futures": "10001",
    }
    assert codes.get(f"{rig.name}-{rig.market_type.value}", "51202") == refusal.value.values["exchange_code"]
    assert rig.exchange.place(rig.order(BUY, "0.1", price="40000")).status is OrderStatus.OPEN


def test_a_market_order_takes_what_the_book_offers(futures: ExchangeRig):
    """The unfilled rest of a market order is cancelled, and the filled part is reported.

    The next order finds the new depth.
    """
    futures.exchange.place(futures.order(BUY, "1"))
    futures.simulator.call("POST", "book", symbol="BTCUSDT", depth=["0.4", None])
    (found,) = futures.exchange.positions()
    first = futures.exchange.place(
        replace(closing_order(found, futures.instrument, Decimal(1)), client_order_id="thclosing1")
    )
    assert (first.status, first.filled) == (OrderStatus.CANCELLED, Decimal("0.4"))
    second = futures.exchange.place(
        replace(closing_order(found, futures.instrument, Decimal("0.6")), client_order_id="thclosing2")
    )
    assert (second.status, second.filled, position(futures)) == (OrderStatus.FILLED, Decimal("0.6"), {})
