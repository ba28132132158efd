"""Signals executed at simulated live exchanges.

Placed orders, the order store's records, published events.
"""

from decimal import Decimal
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib import aws
from chalicelib.execution import execute_signal
from chalicelib.trading import Leg, MarketType, OrderType
from tests.unit.execution.conftest import Live, legs


def test_a_market_order_fills(live: Live) -> None:
    """One order at the exchange, stored as filled with price, value and fee, and one event of it."""
    execution = live.run("buy", quantity=Decimal("0.1"))
    [order] = live.order_store()
    assert (order.status, order.filled, order.number) == ("filled", Decimal("0.1"), 1)
    assert order.average_price == 50000
    assert order.value == 5000
    assert order.fee
    assert order.fee_currency in {"BTC", "USDT"}
    assert execution.orders == (order,)
    assert live.agrees()
    assert live.events() == ["order.filled"]


def test_a_settled_signal_is_not_repeated(live: Live) -> None:
    """The message delivered twice places once."""
    signal = live.signal()
    live.execute(signal)
    live.execute(signal)
    assert len(live.there()) == 1


def test_a_share_of_the_balance(live: Live) -> None:
    """Half of the free balance, costs included, rounded to the step; then half of the holding."""
    live.run("buy", legs=legs("50"), price=Decimal(50000))
    [order] = live.order_store()
    assert Decimal("0.99") < order.quantity < 1
    assert order.basis["free"] == 100000
    live.run("sell", legs=legs("50"), price=Decimal(50000))
    held = order.filled + (2 if live.market_type is MarketType.SPOT else 0)
    assert abs(live.order_store()[1].quantity - held / 2) < Decimal("0.002")
    assert live.agrees()


def test_a_batch_is_sized_from_one_look(live: Live) -> None:
    """Two legs of 40 % are alike: the second is not 40 % of what the first has left."""
    execution = live.run("buy", legs=legs("40", "40"), price=Decimal(50000))
    assert not execution.refused
    first, second = live.order_store()
    assert first.quantity == second.quantity
    balances = [
        each
        for each in live.simulator.requests()
        if "alance" in each["path"] or each["path"].endswith("v3/account")
    ]
    assert len(balances) == 1


def test_a_limit_order_rests_and_is_followed_to_its_fill(live: Live) -> None:
    """Open at first; when the price has come, the follow-up records the fill with its fee."""
    live.limit("49000")
    [order] = live.order_store()
    assert order.status == "open"
    live.simulator.price("BTCUSDT", "48900")
    assert live.follow() == 1
    [order] = live.order_store()
    assert (order.status, order.filled) == ("filled", Decimal("0.1"))
    assert order.fee is not None
    assert live.agrees()
    told = ["position.changed"] if live.market_type is MarketType.FUTURES else []
    assert live.events() == ["order.filled", "order.opened", *told]
    live.follow()
    assert live.follow() == 0


def test_a_stop_waits_and_fires(live: Live) -> None:
    """A stop below the market rests, and sells when the price falls there."""
    if live.market_type is MarketType.FUTURES:
        live.run("buy")
    stop = Leg(stop_price=Decimal(48000))
    execution = live.run("sell", order_type=OrderType.STOP_MARKET, quantity=Decimal("0.1"), legs=(stop,))
    assert not execution.refused, execution.refused
    assert live.order_store()[-1].status == "open"
    live.simulator.price("BTCUSDT", "47900")
    live.follow()
    assert (live.order_store()[-1].status, live.order_store()[-1].filled) == ("filled", Decimal("0.1"))


def test_long_from_short_waits_for_the_exit(futures: Live) -> None:
    """The short position is closed first; then the long one opens, sized by the free balance after it."""
    futures.run("short", quantity=Decimal("0.5"))
    execution = futures.run("long", legs=legs("50"), price=Decimal(50000))
    assert not execution.refused, execution.refused
    _, exit_, entry = futures.order_store()
    assert (exit_.leg, exit_.side, exit_.quantity, exit_.status) == ("close", "buy", Decimal("0.5"), "filled")
    assert exit_.created_at < entry.created_at
    assert [Decimal(each) for each in futures.holdings["positions"].values()] == [entry.filled]
    assert futures.agrees()


def test_close_closes_everything(live: Live) -> None:
    """The whole holding is sold, and only dust remains."""
    live.run("buy")
    execution = live.run("close")
    assert not execution.refused
    assert live.order_store()[-1].status == "filled"
    if live.market_type is MarketType.FUTURES:
        assert not live.holdings["positions"]


def test_cancel_touches_the_strategys_own_orders_only(live: Live) -> None:
    """One strategy's cancel leaves another's order, and one placed by hand, where they are."""
    live.limit("49000", group_name="mine")
    live.limit("48000", group_name="theirs")
    execution = live.run("cancel_all_order", symbol=None, market_type=None, group_name="mine")
    assert (execution.cancelled, execution.not_cancelled) == (1, 0)
    assert [order.status for order in live.order_store()] == ["cancelled", "open"]
    assert live.agrees()
    again = live.run("cancel_all_order", symbol=None, market_type=None, group_name="mine")
    assert (again.cancelled, again.not_cancelled) == (0, 0)


def test_the_exchanges_refusal_is_told(live: Live) -> None:
    """Too little money.

    The order is stored as rejected, the signal refused with the exchange's code, and both are published.
    """
    execution = live.run("buy", quantity=Decimal(50))
    [refused] = execution.refused
    assert refused.code == "exchange_insufficient_funds"
    assert live.order_store()[0].status == "rejected"
    assert live.order_store()[0].code == "exchange_insufficient_funds"
    assert live.events() == ["order.rejected", "signal.refused"]


def test_a_filters_refusal_leaves_no_order(live: Live) -> None:
    """Less than the exchange's minimum is refused before anything is claimed."""
    execution = live.run("buy", quantity=Decimal("0.00000001"))
    assert [leg.code for leg in execution.refused] in (["below_minimum"], ["below_minimum_quantity"])
    assert not live.order_store()
    assert not live.there()


def test_an_unknown_symbol(live: Live) -> None:
    """What the exchange does not list is refused."""
    symbol = {"raw": "NOPEUSDT", "base": "NOPE", "quote": "USDT"}
    [refused] = live.run("buy", symbol=symbol).refused
    assert refused.code == "symbol_unknown"


def test_a_bad_key_touches_nobody_else(live: Live, open_account) -> None:
    """One account's revoked key is its own refusal; the other account trades."""
    other = open_account(live.exchange, live.market_type)
    aws.write(
        aws.update_write(
            "accounts", {"account_id": other.account_id}, "SET sealed_keys = :box", box="bm9uc2Vuc2U="
        )
    )
    assert [leg.code for leg in other.run().refused] == ["exchange_key_unreadable"]
    assert live.run().succeeded
    assert not other.there()


def test_a_live_account_without_a_key(open_account) -> None:
    """It is refused, and never simulated instead."""
    account = open_account()
    aws.write(aws.update_write("accounts", {"account_id": account.account_id}, "REMOVE sealed_keys"))
    assert [leg.code for leg in account.run().refused] == ["exchange_key_missing"]


def test_a_snapshot_after_trading(live: Live) -> None:
    """The follow-up stores what the account holds, for the positions API."""
    from chalicelib.accounts.model import Account
    from chalicelib.portfolio import positions

    live.run("buy")
    live.follow()
    account = Account.model_validate(aws.get("accounts", {"account_id": live.account_id}))
    [position] = positions.positions_of(account)
    assert position["symbol"] in {"BTC", "BTCUSDT"}
    assert position["quantity"] > 0


def test_an_order_takes_five_calls_to_aws(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a warm worker, limits in use.

    The read, the order's turn, at times the address's, the claim, the settlement with the record.
    """
    made: list[str] = []
    original = BaseClient._make_api_call

    def counted(self: Any, operation: str, arguments: Any) -> Any:
        made.append(operation)
        return original(self, operation, arguments)

    live.run("buy", quantity=Decimal("0.01"), price=Decimal(50000))
    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    for _ in range(6):
        signal = live.signal("buy", quantity=Decimal("0.01"), price=Decimal(50000), single_account=True)
        made.clear()
        execute_signal.execute_signal(signal, 20)
        assert len(made) <= 5, made
    assert [order.status for order in live.order_store()] == ["filled"] * 7
