"""A close reads the position and continues until the position is flat.

Every row on every exchange where it applies.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws, messages
from chalicelib.exchanges import market_store, registry
from chalicelib.execution import flatten
from chalicelib.orders import in_flight, queue, store
from chalicelib.orders.models import AccountResult, Flatten, Order
from chalicelib.risk import halts, update_rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.signals import answers
from chalicelib.trading import Leg, MarketType, OrderType, PositionSide
from tests.unit.execution.conftest import Live, legs

pytestmark = pytest.mark.usefixtures("unlimited")

_ACCOUNT = Scope.ACCOUNT


def by_hand(live: Live, quantity: str, side: str = "net", margin_mode: str = "cross") -> None:
    """The owner has traded at the exchange."""
    key = live.credentials.api_key
    if side != "net":
        live.simulator.call("POST", "settings", api_key=key, hedged=True)
    if live.exchange == "binance":
        live.simulator.call("POST", "settings", api_key=key, symbol="BTCUSDT", margin_mode=margin_mode)
    live.simulator.call(
        "POST", "trade", api_key=key, symbol="BTCUSDT", quantity=quantity, side=side, margin_mode=margin_mode
    )


def book(live: Live, **given: Any) -> None:
    """The exchange's book of BTCUSDT, and its metadata as it is stored by the next refresh."""
    live.simulator.call(
        "POST", "book", symbol="BTCUSDT", exchange=live.exchange, market=live.market_type.value, **given
    )
    markets = registry.fetch_markets(live.exchange, live.market_type)
    market_store.save(
        market_store.venue(live.exchange, live.market_type, demo=False), {"BTCUSDT": markets["BTCUSDT"]}
    )
    market_store.forget()


def positions(live: Live) -> dict[str, Decimal]:
    return {name.partition("/")[2]: Decimal(each) for name, each in live.holdings["positions"].items()}


def closings(live: Live) -> list[tuple[str, str, Decimal]]:
    """Returns the stored closing orders: leg, status, filled quantity."""
    return [
        (order.leg, order.status.value, order.filled)
        for order in live.order_store()
        if order.leg.startswith("close")
    ]


def answered(live: Live, execution: AccountResult) -> tuple[int, dict[str, Any]]:
    """What a group sender reads."""
    signal = {"variant": "group", "action": "close", "batch": False, "group_name": "mine"}
    return answers.settled_response(signal, 1, [execution], "en")


def flatten_now(live: Live, seconds: float = 20, **more: Any) -> None:
    flatten.close_all(
        Flatten(
            flatten_id="loss",
            user_id="1",
            account_id=live.account_id,
            exchange=live.exchange,
            at=datetime.now(UTC),
            **more,
        ),
        seconds,
    )


def payloads(type_: str) -> list[dict[str, Any]]:
    items = [
        aws.from_dynamodb(item) for item in aws.client("dynamodb").scan(TableName="test-outbox")["Items"]
    ]
    return [item["payload"] for item in items if item["type"] == type_]


# Which position it is


@pytest.mark.parametrize("action", ["close", "stop"])
@pytest.mark.parametrize(
    "held",
    [{"short": "-0.2"}, {"long": "0.2"}, {"long": "0.2", "short": "-0.2"}, {"long": "0.1", "short": "-0.3"}],
)
def test_a_close_without_a_side_leaves_nothing_of_a_hedged_account(
    futures: Live, action: str, held: dict[str, str]
) -> None:
    """Each position that stands is closed by an order of its own side.

    Equal ones do not cancel each other out.
    """
    for side, quantity in held.items():
        by_hand(futures, quantity, side)
    execution = futures.run(action)
    assert execution.succeeded, execution.refused
    assert (positions(futures), futures.agrees()) == ({}, True)
    assert len(closings(futures)) == len(held)


def test_a_close_with_a_side_closes_that_one(futures: Live) -> None:
    """The other one stays."""
    by_hand(futures, "0.2", "long")
    by_hand(futures, "-0.1", "short")
    assert futures.run("close", position_side=PositionSide.SHORT).succeeded
    assert positions(futures) == {"long": Decimal("0.2")}


def test_a_close_with_a_side_on_a_one_way_account(futures: Live) -> None:
    """The position is what its sign says, and it is closed without asking for another mode."""
    by_hand(futures, "0.2")
    assert [leg.code for leg in futures.run("close", position_side=PositionSide.SHORT).refused] == [
        "no_position"
    ]
    assert futures.run("close", position_side=PositionSide.LONG).succeeded
    assert positions(futures) == {}


@pytest.mark.parametrize(("opened", "setting"), [("isolated", "cross"), ("cross", "isolated")])
@pytest.mark.parametrize("do", ["close", "stop", "sell"])
def test_a_position_of_another_margin_mode_than_the_settings(
    futures: Live, opened: str, setting: str, do: str
) -> None:
    """It is closed in its own mode; half of it can be sold, too."""
    by_hand(futures, "0.2", margin_mode=opened)
    execution = futures.run(do, margin_mode=setting, **({"legs": legs("50")} if do == "sell" else {}))
    assert execution.succeeded, execution.refused
    assert positions(futures) == ({_slot(futures, opened): Decimal("0.1")} if do == "sell" else {})


@pytest.mark.parametrize(("opened", "setting"), [("isolated", "cross"), ("cross", "isolated")])
def test_a_reversal_from_another_margin_mode(open_account, opened: str, setting: str) -> None:
    """What stood is closed in its own mode, and the new position has that of the settings."""
    live = open_account("okx", MarketType.FUTURES)
    by_hand(live, "0.2", margin_mode=opened)
    execution = live.run("short", margin_mode=setting)
    assert execution.succeeded, execution.refused
    assert positions(live) == {_slot(live, setting): Decimal("-0.1")}


def _slot(live: Live, margin_mode: str) -> str:
    return "net-isolated" if (live.exchange, margin_mode) == ("okx", "isolated") else "net"


@pytest.mark.parametrize("side", ["net", "long"])
def test_a_cross_and_an_isolated_position_side_by_side(open_account, side: str) -> None:
    """OKX keeps both; one close closes both, and each order names the mode of its position."""
    live = open_account("okx", MarketType.FUTURES)
    by_hand(live, "0.2", side, "cross")
    by_hand(live, "0.3", side, "isolated")
    execution = live.run("close")
    assert execution.succeeded, execution.refused
    assert positions(live) == {}
    assert {order.margin_mode: order.filled for order in live.order_store()} == {
        "cross": Decimal("0.2"),
        "isolated": Decimal("0.3"),
    }


def test_exits_are_those_of_their_position(open_account) -> None:
    """An entry in cross margin is left in cross margin, whatever the settings say when its stop-loss is
    placed and fires.
    """
    live = open_account("okx", MarketType.FUTURES)
    live.limit("49000", stop_loss=Decimal(45000), margin_mode="isolated", leverage=5)
    live.simulator.price("BTCUSDT", "48900")
    live.follow()
    live.simulator.price("BTCUSDT", "44900")
    live.follow()
    assert positions(live) == {}
    assert {order.margin_mode for order in live.order_store()} == {"isolated"}


@pytest.mark.parametrize("held", [{"short": "-0.2"}, {"long": "0.2", "short": "-0.2"}])
def test_flatten_closes_hedged_positions(futures: Live, held: dict[str, str]) -> None:
    """Each side by its own order."""
    for side, quantity in held.items():
        by_hand(futures, quantity, side)
    flatten_now(futures)
    assert positions(futures) == {}


def test_flatten_closes_isolated_positions(futures: Live) -> None:
    """In their own margin mode."""
    by_hand(futures, "0.2", margin_mode="isolated")
    flatten_now(futures)
    assert positions(futures) == {}


@pytest.mark.parametrize("sides", [("long", "short"), ("long",)])
def test_a_daily_loss_flattens_a_hedged_account(
    futures: Live, monkeypatch: pytest.MonkeyPatch, sides: tuple[str, ...]
) -> None:
    """From the reconciliation of the account to flat.

    The loss halts, and the message that follows closes the position.
    """
    sent: list[Flatten] = []
    monkeypatch.setattr(queue, "send_messages", sent.extend)
    about = Switch(_ACCOUNT, futures.account_id, "1")
    update_rules.update_rules(about, {"max_daily_loss": Decimal(50), "flatten": True}, by="1", admin=False)
    for side in sides:
        by_hand(futures, {"long": "0.3", "short": "-0.1"}[side], side)
    in_flight.schedule_account(futures.account_id, futures.exchange, datetime.now(UTC))
    futures.follow()
    futures.simulator.price("BTCUSDT", "49000")
    for _ in range(2):
        futures.follow()
    [message] = sent
    assert message.halt == {"scope": "account", "id": futures.account_id, "owner": "1", "name": None}
    flatten.close_all(Flatten.model_validate_json(message.model_dump_json()), 20)
    assert positions(futures) == {}
    assert halts.read_switches([about])[0]["left_open"] == []


# How much of it


@pytest.mark.parametrize("parts", ["2.5", "2"])
def test_more_than_the_largest_order_at_market_is_split(live: Live, parts: str) -> None:
    """Each part is an order of its own, and together they close the position."""
    if live.market_type is MarketType.FUTURES:
        by_hand(live, "0.5")
    else:
        live.run("sell", quantity=Decimal("1.5"))
    largest = Decimal("0.5") / Decimal(parts)
    if (live.exchange, live.market_type) == ("okx", MarketType.SPOT):
        book(live, market_value=str(largest * 50000 / Decimal("0.9") + 1))
    else:
        book(live, market_maximum=str(largest))
    execution = live.run("close")
    assert execution.succeeded, execution.refused
    assert [(leg, status) for leg, status, _ in closings(live)] == [
        (name, "filled") for name in ("close", "close-2", "close-3")[: 3 if parts == "2.5" else 2]
    ]
    assert sum(filled for _, _, filled in closings(live)) == Decimal("0.5")
    assert live.agrees()
    assert answered(live, execution)[1]["result"]["results"][0]["quantity"] == Decimal("0.5")
    if live.market_type is MarketType.FUTURES:
        assert positions(live) == {}


@pytest.mark.parametrize("largest", ["0.3", "0.13"])
def test_a_maximum_that_is_lower_than_the_stored_one(live: Live, largest: str) -> None:
    """The exchange refuses the size, so half of it is tried, and so on.

    The position goes, and the answer tells all of it.
    """
    if live.market_type is MarketType.FUTURES:
        by_hand(live, "0.5")
    else:
        live.run("sell", quantity=Decimal("1.5"))
    given = (
        {"market_value": str(Decimal(largest) * 50000)}
        if live.market_type is MarketType.SPOT
        else {"market_maximum": largest}
    )
    given |= {"market_maximum": largest} if live.exchange != "okx" else {}
    live.simulator.call(
        "POST", "book", symbol="BTCUSDT", exchange=live.exchange, market=live.market_type.value, **given
    )
    signal = live.signal("close")
    execution = live.execute(signal)
    assert execution.succeeded, execution.refused
    sent = closings(live)
    assert [status for _, status, _ in sent].count("rejected") == (1 if largest == "0.3" else 2)
    assert sum(filled for _, _, filled in sent) == Decimal("0.5")
    [result] = answered(live, execution)[1]["result"]["results"]
    assert (result["success"], result["quantity"], result["status"]) == (True, Decimal("0.5"), "FILLED")
    live.execute(signal)
    assert closings(live) == sent


def test_a_reversal_of_more_than_the_largest_order(futures: Live) -> None:
    """All parts of the exit have traded before the entry."""
    by_hand(futures, "-0.5")
    book(futures, market_maximum="0.2")
    execution = futures.run("long", quantity=Decimal("0.1"))
    assert execution.succeeded, execution.refused
    assert [order.leg for order in futures.order_store()] == ["close", "close-2", "close-3", "0"]
    assert positions(futures) == {"net": Decimal("0.1")}


def test_flatten_of_more_than_the_largest_order(futures: Live) -> None:
    """The same, without a signal."""
    by_hand(futures, "0.5")
    book(futures, market_maximum="0.2")
    flatten_now(futures)
    assert (positions(futures), len(closings(futures))) == ({}, 3)


def test_a_sale_of_more_than_the_largest_order(futures: Live) -> None:
    """A reduction by percent is split like a close."""
    by_hand(futures, "0.5")
    book(futures, market_maximum="0.2")
    assert futures.run("sell", legs=legs("100")).succeeded
    assert [order.leg for order in futures.order_store()] == ["0", "0-2", "0-3"]
    assert positions(futures) == {}


def test_a_purchase_above_it_is_refused_with_what_would_do(live: Live) -> None:
    """An order that opens is not split; nothing is sent."""
    if (live.exchange, live.market_type) == ("okx", MarketType.SPOT):
        book(live, market_value="10000")
    else:
        book(live, market_maximum="0.2")
    [refused] = live.run("buy", quantity=Decimal("0.3")).refused
    assert (refused.code, refused.values["nearest"]) == ("above_maximum_quantity", "0.2")
    assert not live.there()


def test_exits_of_more_than_the_largest_order(live: Live) -> None:
    """A stop-loss and a take-profit stand for every part, and when the stop-loss fires all of the position
    goes.
    """
    at_value = (live.exchange, live.market_type) == ("okx", MarketType.SPOT)
    book(live, **({"market_value": "3800"} if at_value else {"market_maximum": "0.06"}))
    live.limit("49000", stop_loss=Decimal(45000), take_profit=Decimal(60000))
    live.simulator.price("BTCUSDT", "48900")
    live.follow()
    assert sorted(order.leg for order in live.order_store() if order.exit_of) == [
        "0.sl",
        "0.sl-2",
        "0.tp",
        "0.tp-2",
    ]
    live.simulator.price("BTCUSDT", "44900")
    for _ in range(2):
        live.follow()
    exits = {order.leg: order.status.value for order in live.order_store() if order.exit_of}
    assert exits == {"0.sl": "filled", "0.sl-2": "filled", "0.tp": "cancelled", "0.tp-2": "cancelled"}
    if live.market_type is MarketType.FUTURES:
        assert positions(live) == {}


@pytest.mark.parametrize("price", ["44900", "60100"])
def test_an_exit_that_finds_too_little_is_followed_by_another(live: Live, price: str) -> None:
    """A fired stop-loss or take-profit takes two fifths away.

    The rest follows at market, until nothing of the entry is left.
    """
    live.run("buy", stop_loss=Decimal(45000), take_profit=Decimal(60000))
    book(live, depth=["0.04", "0.03", None])
    live.simulator.price("BTCUSDT", price)
    for _ in range(5):
        live.follow()
    left = sum(order.filled for order in live.order_store() if order.exit_of)
    assert left == live.order_store()[0].received.quantize(left)
    assert live.agrees()
    if live.market_type is MarketType.FUTURES:
        assert positions(live) == {}


@pytest.mark.parametrize("action", ["close", "stop", "sell"])
def test_what_is_left_is_tried_again(live: Live, action: str) -> None:
    """The first order finds two fifths of the depth, the next one the rest.

    A success with the sum of all fills.
    """
    if live.market_type is MarketType.FUTURES:
        by_hand(live, "1")
    else:
        live.run("sell", quantity=Decimal(1))
    book(live, depth=["0.4", None])
    execution = live.run(
        action, **({"legs": legs("100"), "price": Decimal(50000)} if action == "sell" else {})
    )
    assert execution.succeeded, execution.refused
    mine = [order for order in live.order_store() if order.signal_id == execution.signal_id]
    assert [order.filled for order in mine] == [Decimal("0.4"), Decimal("0.6")]
    status, body = answered(live, execution)
    [result] = body["result"]["results"]
    assert (status, body["success"], result["success"], result["quantity"], result["status"]) == (
        200,
        True,
        True,
        1,
        "FILLED",
    )
    if live.market_type is MarketType.FUTURES:
        assert positions(live) == {}


@pytest.mark.parametrize("action", ["close", "sell"])
def test_what_stays_left_is_no_success(live: Live, action: str) -> None:
    """Without a further fill, the answer, the event and Telegram name the rest."""
    if live.market_type is MarketType.FUTURES:
        by_hand(live, "1")
    else:
        live.run("sell", quantity=Decimal(1))
    live.simulator.price("BTCUSDT", "50000", size="0.4")
    more = {"legs": legs("100"), "price": Decimal(50000)} if action == "sell" else {}
    execution = live.execute(live.signal(action, **more), seconds=5)
    assert not execution.succeeded
    status, body = answered(live, execution)
    assert (status, body["success"], body["code"]) == (422, False, "close_incomplete")
    assert (body["result"]["results"][0]["success"], body["result"]["summary"]["failed_trades"]) == (False, 1)
    assert "0.6" in body["error"]
    [told] = payloads("signal.refused")
    assert told["refused"][0]["values"] == {"symbol": "BTCUSDT", "closed": "0.4", "left": "0.6"}
    assert "0.6" in messages.render("close_incomplete", told["refused"][0]["values"], "ko")
    assert live.agrees()


def test_a_reversal_that_cannot_close_opens_nothing(futures: Live) -> None:
    """The error names the rest of the opposite position."""
    by_hand(futures, "-1")
    futures.simulator.price("BTCUSDT", "50000", size="0.4")
    execution = futures.execute(futures.signal("long"), seconds=5)
    assert [leg.code for leg in execution.refused] == ["close_incomplete"]
    assert positions(futures) == {"net": Decimal("-0.6")}
    assert answered(futures, execution)[1]["result"]["results"][0]["success"] is False


def test_exits_go_with_their_own_side(futures: Live) -> None:
    """Those of the side that has gone are cancelled; those of the side that stands stay, and protect it."""
    key = futures.credentials.api_key
    futures.simulator.call("POST", "settings", api_key=key, hedged=True)
    for side, stops in ((PositionSide.LONG, ("45000", "60000")), (PositionSide.SHORT, ("60000", "45000"))):
        exits = {"stop_loss": Decimal(stops[0]), "take_profit": Decimal(stops[1])}
        assert futures.run(
            "buy" if side is PositionSide.LONG else "sell", position_side=side, **exits
        ).succeeded
    book(futures, depth=["0.04", None])
    futures.simulator.price("BTCUSDT", "50000", size="0")
    execution = futures.execute(futures.signal("close"), seconds=5)
    assert [leg.code for leg in execution.refused] == ["close_incomplete"]
    assert positions(futures) == {"long": Decimal("0.06")}
    left = {order.side.value for order in futures.order_store() if order.exit_of and order.status == "open"}
    assert left == {"sell"}
    assert futures.agrees()


def test_both_sides_are_tried_though_one_stays(futures: Live) -> None:
    """The rest is named with its side."""
    by_hand(futures, "0.5", "long")
    by_hand(futures, "-0.3", "short")
    book(futures, depth=["0.1", None, "0", "0", "0", "0", "0", "0"])
    futures.simulator.price("BTCUSDT", "50000", size="0")
    execution = futures.execute(futures.signal("close"), seconds=5)
    [refused] = execution.refused
    assert refused.code == "close_incomplete"
    assert refused.values["left"].split()[:2] == ["0.4", "long"]
    assert positions(futures) == {"long": Decimal("0.4")}


def test_flatten_says_what_is_left(futures: Live) -> None:
    """On the halt, in an event of it, and until the position has gone."""
    switch = Switch(_ACCOUNT, futures.account_id, "1")
    halts.set_switch(switch, halted=True, by="risk", reason="max_daily_loss")
    by_hand(futures, "-1")
    futures.simulator.price("BTCUSDT", "50000", size="0.4")
    about = {"scope": "account", "id": futures.account_id, "owner": "1", "name": None}
    flatten_now(futures, 5, halt=about)
    [shown] = halts.read_switches([switch])
    [left] = shown["left_open"]
    assert (left["symbol"], left["side"], left["quantity"]) == ("BTCUSDT", "short", Decimal("0.6"))
    told = [payload["left_open"] for payload in payloads("account.halted") if payload.get("left_open")]
    assert [row["quantity"] for row in told[-1]] == ["0.6"]

    futures.simulator.price("BTCUSDT", "50000")
    flatten_now(futures, 20, halt=about)
    assert halts.read_switches([switch])[0]["left_open"] == []
    assert positions(futures) == {}


def test_what_is_closed_by_something_else_between_is_not_closed_again(
    futures: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop-loss takes the rest while the close waits.

    The close is a success, and no order goes too far.
    """
    from chalicelib.execution.live import LiveExecution

    by_hand(futures, "1")
    book(futures, depth=["0.4", None])
    waits = LiveExecution.wait_for_rest

    def meanwhile(self: LiveExecution, attempt: int) -> bool:
        by_hand(futures, "-0.6")
        return waits(self, attempt)

    monkeypatch.setattr(LiveExecution, "wait_for_rest", meanwhile)
    execution = futures.run("close")
    assert execution.succeeded
    assert (positions(futures), len(closings(futures))) == ({}, 1)


def test_parts_of_a_close_have_ids_of_their_own(open_account) -> None:
    """Ids derive from signal and part, so a redelivered message repeats nothing."""
    live = open_account("bybit", MarketType.FUTURES)
    by_hand(live, "0.5")
    book(live, market_maximum="0.2")
    signal = live.signal("close")
    live.execute(signal)
    ids = [order.client_order_id for order in live.order_store()]
    assert len(set(ids)) == 3
    live.execute(signal)
    _, orders = store.results_of(signal.signal_id)
    assert sorted(order.client_order_id for order in orders) == sorted(ids)
    assert len(live.there()) == 3


def test_a_limit_order_that_reduces_two_positions(open_account) -> None:
    """A resting reduction is one order for each position."""
    live = open_account("okx", MarketType.FUTURES)
    by_hand(live, "0.2", "net", "cross")
    by_hand(live, "0.3", "net", "isolated")
    limit = (Leg(percent=Decimal(100), price=Decimal(51000)),)
    assert live.run("sell", order_type=OrderType.LIMIT, legs=limit).succeeded
    assert {(order.margin_mode, order.quantity) for order in live.order_store()} == {
        ("cross", Decimal("0.2")),
        ("isolated", Decimal("0.3")),
    }


def test_a_fee_in_another_currency_is_not_taken_from_the_base(open_account) -> None:
    """BNB is no part of BNBXUSDT, although the symbol begins with it."""
    live = open_account("binance")
    live.run("buy")
    [order] = live.order_store()
    other: Order = order.model_copy(
        update={"symbol": "BNBXUSDT", "base": "BNBX", "fee": Decimal("0.01"), "fee_currency": "BNB"}
    )
    assert other.received == order.filled
    assert order.fee
    assert order.received == order.filled - order.fee
