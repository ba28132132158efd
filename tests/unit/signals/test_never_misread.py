"""An alert trades exactly what it says, or is refused: one row per mistake."""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.users.credentials import Kind
from functions import receive_signals, serve_api
from testkit import pump, records
from testkit.gateway import call

D = Decimal
FREE = {"currency": "USDT", "slippage_bps": D(0), "commission_bps": D(0), "cash": {"USDT": D(100_000)}}
GROUP = {
    "group_name": "grp",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "MARKET",
    "side": "buy",
}
PAPER = {"ticker": "AAPL", "action": "buy", "price": 185.5}
PERSONAL = {"symbol": "BTCUSDT", "action": "buy"}
ROUTE = {"route": "/personal/{user_id}/webhook", "path_parameters": {"user_id": "1"}}
CODE: list[str] = []


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """A user with futures settings, a demo account without costs, a paper account with the default costs, and
    a strategy.
    """
    records.add_user("1", trade_amount=D(1000), market_type="futures", default_account="paper")
    records.add_account("1", "Demo 0", kind="demo", exchange="binance", **FREE)
    records.add_account("1", "paper")
    records.add_strategy(group_name="grp", accounts={"1-Demo 0": {"name": "Demo 0"}})
    records.set_price("BTCUSDT", "50000")
    CODE[:] = [records.add_token("1", Kind.XC_CODE)]


def send(path: str, body: Any, **more: Any) -> tuple[int, Any]:
    """A signal with the user's token, and its orders done; for group and paper the settled answer."""
    token = {} if path == "/xc" else {"X-Webhook-Token": records.add_token("1")}
    status, answer, _ = call(
        receive_signals.app, "POST", path, body, query={"wait": "0"}, headers=token, **more
    )
    if status != 202:
        return status, answer
    pump.execute()
    trace = traced(answer["signal_id"])
    return (
        (200, trace["result"] | {"trace": trace}) if "result" in trace else (202, answer | {"trace": trace})
    )


def traced(signal_id: str) -> dict[str, Any]:
    """A signal's trace."""
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    where = {"route": "/signals/{signal_id}", "path_parameters": {"signal_id": signal_id}}
    return dict(call(serve_api.app, "GET", f"/signals/{signal_id}", headers=headers, **where)[1])


def group(**changes: Any) -> tuple[int, Any]:
    """A complete group body with the change named."""
    return send(
        "/api/webhook", {name: value for name, value in (GROUP | changes).items() if value is not ABSENT}
    )


def paper(**changes: Any) -> tuple[int, Any]:
    """A paper body with the change named."""
    return send("/api/webhook", PAPER | changes)


def personal(body: Any = None, **changes: Any) -> tuple[int, Any]:
    """A personal body with the change named."""
    return send("/personal/1/webhook", body or (PERSONAL | changes), **ROUTE)


def xc(words: str, command: str = "buy") -> tuple[int, Any]:
    """An xc connection string with these words."""
    return send(
        "/xc", f"code={CODE[0]} demo=YES command={command} exchange=binance coinmarket=BTCUSDT {words}"
    )


CYRILLIC = {"qty_рer": 5}
"""`qty_per` with a Cyrillic letter."""

ABSENT = object()
"""Leaves a field of the complete group body out."""


def tokenless(body: str) -> tuple[int, Any]:
    """A personal body without a token of its own: its xc code says who sends it."""
    status, answer, _ = call(
        receive_signals.app, "POST", "/personal/1/webhook", body, query={"wait": "0"}, **ROUTE
    )
    return status, answer


def trades() -> list[dict[str, Any]]:
    """The orders made so far."""
    return [item for item in pump.items("orders") if "#" in item["leg"]]


def position(symbol: str = "BTCUSDT", account_id: str = "1-Demo 0") -> Decimal:
    """The futures position of the demo account."""
    found = [
        item
        for item in pump.items("portfolios")
        if item["account_id"] == account_id and item["item"] == f"position#{symbol}"
    ]
    return found[0]["quantity"] if found else D(0)


def holding(symbol: str = "AAPL", account_id: str = "1-paper") -> Decimal:
    """The holding of the paper account."""
    found = [
        item
        for item in pump.items("portfolios")
        if item["account_id"] == account_id and item["item"] == f"asset#{symbol}"
    ]
    return found[0]["quantity"] if found else D(0)


def hold(quantity: str) -> None:
    """Makes the demo account's position so large, negative for short."""
    word = "buy" if D(quantity) > 0 else "sell"
    assert xc(f"amount={quantity.lstrip('-')}", word)[0] == 202
    assert position() == D(quantity)


def refused(answer: tuple[int, Any], code: str, *words: str, status: int = 400) -> None:
    """Refused with this code and a message with these words, and nothing traded."""
    assert (answer[0], answer[1].get("code")) == (status, code), answer
    for word in words:
        assert word in answer[1]["error"], answer


# K1: a size that is empty or under an unknown name


def test_group_sizes_that_cannot_be_read() -> None:
    """Whatever reads like a size and is not one is refused instead of taking the whole balance."""
    refused(group(qty_per=""), "empty_field", "qty_per")
    refused(group(qty_per=None), "empty_field", "qty_per")
    refused(group(qty_per=-5), "must_be_positive", "qty_per")
    refused(group(percent=""), "empty_field", "percent")
    refused(group(size=0.01), "quantity_without_percent", "size")
    refused(group(positionSizePct=5), "unknown_field", "positionSizePct", "qty_per")
    refused(group(**CYRILLIC), "unknown_field")
    refused(group(**{"\u00adqty_per": 5}), "unknown_field")
    refused(group(**{"qty_per\u00a0": 5}), "unknown_field")
    refused(group(sizing={"qty": 5, "percent": 2}), "unknown_field")
    refused(group(note={"qty_per": 5}), "unknown_field", "note.qty_per")
    for orders in (None, "", [], {}, "[]"):
        refused(group(orders=orders), "invalid_orders", "orders")
    refused(group(orders=[{"qty_per": 5, "stopLossPct": 2}]), "unknown_field", "orders[0].stopLossPct")
    assert not trades()


@pytest.mark.parametrize(
    ("change", "quantity"),
    [({}, "2"), ({"qty_percent": 5}, "0.1"), ({"percent": "5"}, "0.1"), ({"qtyPer": 5}, "0.1")],
)
def test_group_sizes_that_are_read(change: dict[str, Any], quantity: str) -> None:
    """The default holds where nothing was said; an alias of `qty_per` sizes the order."""
    assert group(**change)[0] == 200
    assert position() == D(quantity)


def test_paper_sizes() -> None:
    """Names that are certain are understood, others refused."""
    for name, quantity in (("size", 3), ("shares", 7), ("units", 2)):
        before = holding()
        assert paper(**{name: quantity})[0] == 200
        assert holding() - before == quantity
    before = holding()
    refused(paper(lots=1), "unknown_field", "lots")
    refused(paper(contracts=""), "empty_field", "contracts")
    refused(paper(contracts=None), "empty_field", "contracts")
    refused(paper(numShares=3), "unknown_field", "numShares", "quantity")
    refused(paper(qty=0), "must_be_positive", "qty")
    assert holding() == before
    status, answer = paper(qty=3, note="x", indicator_value=17, close=1, plot_0="2")
    assert status == 200
    assert holding() - before == 3
    assert answer["trace"]["signal"]["unknown"].keys() == {"note", "indicator_value", "close", "plot_0"}


# K2: a unit next to a size


def test_units_on_paper() -> None:
    """Dollars and percents are what they say, never shares."""
    assert paper(quantity=371, quantity_type="cash")[0] == 200
    assert holding() in (D(1), D(2))
    assert paper(qty=10, sizeType="fixed")[0] == 200
    refused(paper(qty=10, investmentType="margin"), "invalid_choice", "investmentType")
    refused(paper(qty="5%", qty_type="cash"), "conflicting_fields")
    refused(paper(qty_type="cash"), "missing_field", "quantity")
    refused(paper(qty=200, qty_type="percent"), "out_of_range", "qty")


def test_percentages_on_paper() -> None:
    """Half of the free cash with its costs; a quarter of the holding."""
    status, answer = paper(qty=50, qtyType="percent_of_equity")
    assert status == 200
    assert 49_700 < answer["simulation"]["total_cost"] <= 50_000
    held = holding()
    assert paper(action="sell", qty=25, quantityType="percent_of_position")[0] == 200
    assert held - holding() == pytest.approx(held / 4, abs=D("0.001"))
    assert paper(action="sell", qty="100%")[0] == 200
    assert holding() == 0


def test_units_on_xc() -> None:
    """A quote amount is worth that much; below the minimum it is refused; lots are refused."""
    refused(xc("amount=0.01 amount_type=lots"), "invalid_choice", "amount_type")
    xc("amount=0.002 amount_type=quote")
    assert position() == 0
    assert xc("amount=100 currency_type=quote")[0] == 202
    assert position() == D("0.002")
    assert xc("amount=5%")[0] == 202
    assert D("0.1") <= position() <= D("0.102")


# K4: a close is refused for nothing that it does not use


@pytest.mark.parametrize(
    "body",
    [
        '{"symbol":"BTCUSDT","action":"close","stop_loss":NaN}',
        {"action": "close", "sl": "na", "take_profit": ""},
        {"action": "close", "stop_loss": -1, "risk": 1},
        {"action": "close", "price": "—"},
        {"action": "close", "timestamp": "2026-11-27", "prev_market_position": "n/a"},
        {"action": "stop", "tp": "n/a", "contracts": "none"},
        {"action": "close", "contracts": 0},
        {"action": "close", "qty_per": 50},
        {"action": "close", "orders": []},
        {"action": "close", "stopLossPrice": 1, "leverage": "x", "order_type": "limit"},
        {"action": "close", "\\nsymbol": "ETHUSDT", "комментарий": 1},
        {"action": "close", "qty": 1, "contracts": 2, "Note": 1, "note": 2},
        {"action": "close", "note": {"a": {"qty": 5}}, "idempotency_key": ["x"]},
        {"action": "{{strategy.order.action}}", "market_position": "FLAT"},
        '{"symbol":"BTCUSDT","action":"close","qty":1,"qty":2}',
    ],
)
def test_a_close_closes(body: Any) -> None:
    """Whatever it has besides the position's name."""
    hold("0.02")
    assert personal(body if isinstance(body, str) else {"symbol": "BTCUSDT"} | body)[0] == 202
    assert position() == 0


@pytest.mark.parametrize(
    "amount", ["amount=100%", "amount=all", "amount=-0.01", "", "amount=", "amount=0 order_type=trailing"]
)
def test_an_xc_close_closes(amount: str) -> None:
    """A close needs no amount, and none refuses it."""
    hold("0.02")
    assert xc(amount, "close")[0] == 202
    assert position() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"side": "close", "order_type": "LIMIT"},
        {"side": "close", "stop_price": 1},
        {"side": "close", "quantity": 5},
        {"side": "close", "currency": ""},
        {"side": "close", "order_type": ABSENT, "qty_per": "x"},
        {"side": "sell", "market_position": "flat", "qty_per": "all"},
    ],
)
def test_a_group_close_closes(change: dict[str, Any]) -> None:
    """Order type, prices and sizes of the template do not matter to an exit."""
    hold("0.2")
    status, answer = group(**change)
    assert (status, answer["success"]) == (200, True)
    assert position() == 0


def test_a_paper_close() -> None:
    """An unreadable quantity sells the whole holding, an unreadable price is the last known one."""
    paper(qty=300)
    assert paper(action="close", qty=50)[0] == 200
    assert holding() == 250
    assert paper(action="close", qty="n/a", price="n/a")[0] == 200
    assert holding() == 0
    paper(qty=300)
    assert paper(action="close")[0] == 200
    assert holding() == 200
    assert paper(action="close", qty=5000)[1]["code"] == "insufficient_holdings"
    assert paper(action="close", qty=50, market_position="flat")[0] == 200
    assert holding() == 150
    assert paper(action="sell", qty=5000, market_position="flat")[0] == 200
    assert holding() == 0


def test_what_names_the_position_stays_strict() -> None:
    """A close whose position is not named is refused; so is an entry for what a close may carry."""
    hold("0.02")
    refused(personal(symbol="BTC:USDT:X", action="close"), "unknown_symbol")
    refused(personal(action="close", account=""), "empty_field", "account")
    refused(personal(action="close", market_type="n/a"), "invalid_choice", "market_type")
    refused(personal('{"symbol":"BTCUSDT","action":"close","Symbol":"ETHUSDT"}'), "duplicate_field")
    assert position() == D("0.02")
    refused(personal('{"symbol":"BTCUSDT","action":"buy","stop_loss":NaN}'), "invalid_number", "stop_loss")


# K6: a body on the wrong URL


def test_a_body_on_the_wrong_url() -> None:
    """The error names the URL where the body is read."""
    batch = {
        "symbol": "BTCUSDT",
        "side": "buy",
        "order_type": "limit",
        "orders": [{"price": 45000, "qty_per": 5}],
    }
    for body in (GROUP, {"symbol": "BTCUSDT", "side": "buy", "qty_per": 4}, batch):
        refused(personal(body), "wrong_url", "/api/webhook")
    string = f"code={CODE[0]} command=buy exchange=okx coinmarket=BTCUSDT amount=0.003"
    refused(tokenless(string), "wrong_url", "/xc")
    refused(xc("amount=0.01 qty_per=5"), "wrong_url", "/api/webhook")
    assert not trades()
    hold("0.02")
    refused(personal(action="close", group_name="grp"), "wrong_url", "/api/webhook")
    assert position() == D("0.02")


def test_what_a_webhook_does_not_use_is_kept() -> None:
    """`exchange` and `contracts` of the chart size nothing on personal; trace and dry run say so."""
    status, answer = personal(exchange="BINANCE", contracts=3)
    assert status == 202
    assert position() == D("0.02")
    assert answer["trace"]["signal"]["unknown"] == {"exchange": "BINANCE", "quantity": "3"}
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    body = PERSONAL | {"contracts": 3, "note": "x", "price": ""}
    plan = call(
        serve_api.app, "POST", "/signals/explain", body, headers=headers, query={"variant": "personal"}
    )[1]
    assert [(each["field"], each["code"]) for each in plan["fields"]] == [
        ("quantity", "field_not_used_here"),
        ("note", "field_unknown"),
        ("price", "field_not_used_here"),
    ]


def test_an_account_narrows_a_group_signal() -> None:
    """Only that account of the strategy trades; orders of the others stay."""
    records.add_account("1", "Demo 1", kind="demo", exchange="binance", **FREE)
    records.add_strategy(
        group_name="grp", accounts={"1-Demo 0": {"name": "Demo 0"}, "1-Demo 1": {"name": "Demo 1"}}
    )
    assert group(account="Demo 0", qty_per=5)[0] == 200
    assert {trade["account_id"] for trade in trades()} == {"1-Demo 0"}
    refused(group(account="Demo 9"), "account_not_found", status=404)
    refused(group(account=""), "empty_field", "account")
    group(order_type="LIMIT", price=40000, qty_per=5)
    cancel = {"group_name": "grp", "order_type": "CANCEL_ALL_ORDER", "account": "Demo 0"}
    assert send("/api/webhook", cancel)[1]["result"]["summary"]["cancelled_orders"] == 1
    refused(send("/api/webhook", cancel | {"account": ""}), "empty_filter", "account")
    assert sorted(trade["status"] for trade in trades() if trade["order_type"] == "limit") == [
        "cancelled",
        "open",
    ]


# K7: an order that leads to flat opens nothing


@pytest.mark.parametrize("resync", [False, True])
def test_flat_opens_nothing(resync: bool) -> None:
    """In any variant, with and without resync: nothing to close, nothing done."""
    records.add_strategy(group_name="grp", accounts={"1-Demo 0": {"name": "Demo 0"}}, resync=resync)
    for answer in (
        personal(market_position="flat", prev_market_position="short"),
        group(side="sell", qty_per=10, market_position="flat"),
        group(side="short", qty_per=10, market_position="flat", order_type="LIMIT", price=60000),
        xc("amount=0.1 market_position=flat"),
        paper(market_position="flat"),
    ):
        [execution] = answer[1]["trace"]["executions"]
        assert [leg["code"] for leg in execution["refused"]] == ["no_position"], answer
    assert not trades()


def test_flat_on_spot_buys_nothing() -> None:
    """A purchase that leads to flat would buy back a short position that spot has not; the holdings stay."""
    records.add_user("1", trade_amount=D(1000), default_account="paper")
    records.add_account("1", "Demo 0", kind="demo", exchange="binance", **FREE)
    personal(market_position="flat")
    assert not trades()
    personal(price=50000)
    personal(market_position="flat", price=50000)
    assert [trade["side"] for trade in trades()] == ["buy"]
    assert holding("BTC", "1-Demo 0") > 0
    personal(action="sell", market_position="flat", price=50000)
    assert holding("BTC", "1-Demo 0") == 0


@pytest.mark.parametrize(
    ("before", "words", "command", "after"),
    [
        ("-0.1", "amount=0.1 market_position=flat", "buy", "0"),
        ("-0.3", "amount=0.1 market_position=flat", "buy", "-0.2"),  # another strategy may hold the rest
        ("-0.3", "amount=x market_position=flat", "buy", "0"),
        ("-0.3", "market_position=flat", "buy", "0"),
        ("-0.1", "amount=0.5 market_position=flat", "sell", "0"),
        ("0.2", "amount=25% market_position=flat", "sell", "0.15"),
        ("0.2", "amount=5000 amount_type=quote market_position=flat", "sell", "0.1"),
        ("0.2", "amount=50 amount_type=percent_of_position market_position=flat", "long", "0.1"),
    ],
)
def test_flat_reduces_by_its_size_at_most(before: str, words: str, command: str, after: str) -> None:
    """With a readable size it reduces by that at most, without one it closes the whole position, whatever its
    side.
    """
    hold(before)
    assert xc(words, command)[0] == 202
    assert position() == D(after)


def test_flat_on_personal_closes_whatever_its_side() -> None:
    """Settings size no exit: all of it goes, never a larger short."""
    hold("-0.02")
    personal(action="sell", market_position="flat")
    assert position() == 0


def test_resync_closes_the_whole() -> None:
    """A strategy that takes the alerts' position as the truth is flat, whatever size the order has."""
    records.add_strategy(group_name="grp", accounts={"1-Demo 0": {"name": "Demo 0"}}, resync=True)
    hold("0.3")
    group(side="sell", qty_per=10, market_position="flat")
    assert position() == 0


def test_an_exit_after_a_missed_reversal_opens_nothing() -> None:
    """`buy` and `sell` never flip, so the reversal ends flat; the exit that follows must not open."""
    xc("amount=0.1 market_position=long prev_market_position=flat")
    xc("amount=0.2 market_position=short prev_market_position=long", "sell")
    assert position() == 0
    xc("amount=0.2 market_position=flat prev_market_position=short")
    assert position() == 0


# K8: the two alerts of one reversal, swapped


def test_a_late_exit_leaves_the_new_position() -> None:
    """With and without resync: the entry came first, its exit then does nothing and says so."""
    records.add_strategy(group_name="grp", accounts={"1-Demo 0": {"name": "Demo 0"}}, resync=True)
    group(side="long", qty_per=10, market_position="long", prev_market_position="flat")
    group(side="short", qty_per=10, market_position="short", prev_market_position="flat")
    entered = position()
    assert entered < 0
    status, answer = group(side="sell", qty_per=10, market_position="flat", prev_market_position="long")
    assert (status, answer["result"]["results"][0]["code"]) == (200, "came_late")
    assert answer["trace"]["missed"]["came_late"] is True
    assert position() == entered
    group(side="buy", qty_per=100, market_position="flat", prev_market_position="short")
    assert position() == 0


def test_a_late_exit_on_personal() -> None:
    """Where no alert named the position before, the chain of the two is enough."""
    personal()
    personal(action="short", market_position="short", prev_market_position="flat")
    assert position() < 0
    status, answer = personal(action="close", market_position="flat", prev_market_position="long")
    assert (status, answer["trace"]["executions"][0]["note"]) == (202, "came_late")
    assert position() < 0
    personal(action="close", market_position="flat", prev_market_position="short")
    assert position() == 0


def test_a_reversal_in_order() -> None:
    """The exit, then the entry: nothing is late."""
    personal()
    personal(action="close", market_position="flat", prev_market_position="long")
    assert position() == 0
    personal(action="short", market_position="short", prev_market_position="flat")
    assert position() < 0


# K9: TradingView's quantity of a reversal


@pytest.mark.parametrize(
    ("before", "words", "command", "after"),
    [
        ("0.1", "amount=0.2 market_position=short market_position_size=0.1", "short", "-0.1"),
        (
            "0.2",
            "amount=0.1 market_position=long market_position_size=0.1 prev_market_position_size=0.2",
            "long",
            "0.1",
        ),
        ("0.2", "amount=0.1 market_position_size=0.3 prev_market_position_size=0.2", "long", "0.3"),
        ("0.1", "amount=0.2", "sell", "0"),
        ("0.1", "amount=0.2 market_position_size=0.1", "long", "0.1"),  # it has that size already
        ("0.2", "amount=0.3 market_position_size=0.1 prev_market_position_size=0.2", "short", "-0.1"),
        ("0.1", "amount=0.2 market_position_size=0.1", "sell", "0"),
    ],
)
def test_a_reversals_quantity(before: str, words: str, command: str, after: str) -> None:
    """The position leads to the size that the alert names, never beyond."""
    hold(before)
    assert xc(words, command)[0] == 202
    assert position() == D(after)


def test_a_percentage_is_not_bounded_by_a_size() -> None:
    """A group order is not sized by a quantity."""
    group(side="short", qty_per=10, market_position="short", market_position_size=3)
    assert position() == D("-0.2")


# K10: a limit order stays one


LIMITS = [
    {"ordType": "limit", "price": 45000},
    {"type": "limit", "price": 46000},
    {"order_type": "LIMIT", "limit_price": 45000},
]


@pytest.mark.parametrize("change", LIMITS)
def test_a_limit_rests(change: dict[str, Any]) -> None:
    """However the order type is spelled."""
    assert personal(**change)[0] == 202
    assert [trade["status"] for trade in trades()] == ["open"]


def test_a_limit_that_nobody_would_keep() -> None:
    """What speaks of a limit or an order type and is not read as one is refused."""
    refused(personal(limitPrice=45000), "missing_field", "order_type")
    refused(xc("amount=0.1 order_type= price=40000"), "empty_field", "order_type")
    refused(xc("amount=0.1;\\norder_type=limit;\\nprice=40000"), "broken_pair")
    refused(personal(type="limt order", price=1), "invalid_choice", "type")
    refused(personal(type=["limit"]), "invalid_choice", "type")
    refused(personal(type=""), "empty_field", "type")
    refused(personal(ord_type="x"), "invalid_choice", "ord_type")
    refused(personal(orderTyp="limit"), "unknown_field", "order_type")
    refused(personal(stop_price=45000), "not_for_order_type", "stop_price")
    refused(group(limit_price=45000), "not_for_order_type", "limit_price")
    refused(paper(type="limit"), "invalid_choice", "market")
    refused(paper(type="alert"), "invalid_choice", "market")
    assert not trades()
    assert send("/api/webhook", {"ticker": "AAPL", "action": "buy", "limit_price": 185.5})[0] == 200
    assert paper(type="market", qty=1)[0] == 200
    assert personal(type="alert")[0] == 202


# K11, K12: protection


def test_protection_that_nobody_would_place() -> None:
    """A key that reads like protection and is not known opens nothing, in any variant and spelling."""
    for name in (
        "stopLossPrice",
        "slPrice",
        "sl_percent",
        "trailing",
        "tp1",
        "stop",
        "Break-Even",
        "TARGET 1",
        "profitTargets",
        "trail_pct",
    ):
        refused(personal(**{name: 1}), "unknown_field", name)
        refused(group(**{name: 1}, qty_per=5), "unknown_field", name)
        refused(paper(**{name: 1}), "unknown_field", name)
        refused(xc(f"amount=0.01 {name.replace(' ', '_')}=1"), "unknown_field")
    refused(personal(stop_loss=""), "empty_field", "stop_loss")
    refused(personal(action="sell", reduce_only=""), "empty_field", "reduce_only")
    refused(personal(action="sell", closePosition=True), "unknown_field", "closePosition")
    refused(personal(stopLoss={"pips": 20}), "unknown_field", "stopLoss.pips")
    refused(personal(trailing_stop=1), "invalid_exit", "trailing_stop")
    refused(personal(market_position=""), "empty_field", "market_position")
    assert not trades()


def test_protection_on_paper_is_placed() -> None:
    """Paper carries a stop-loss out like any other account."""
    assert paper(qty=10, stop_loss=170)[0] == 200
    assert {
        (trade["leg"].partition("#")[2], trade["stop_price"])
        for trade in trades()
        if trade["status"] == "open"
    } == {("0.sl", D(170))}
    refused(paper(qty=10, stop_loss=2), "stop_too_far", "stop_loss")


@pytest.mark.parametrize("price", [{}, {"price": 50000}])
def test_a_distance_is_no_stop_price(price: dict[str, Any]) -> None:
    """More than 80 % away from the entry it is a percentage or a distance.

    Refused at acceptance, or before it is sent.
    """
    for change in ({"sl": 2}, {"action": "short", "sl": 95000}):
        status, answer = personal(**change, **price)
        code = answer["code"] if status == 400 else answer["trace"]["executions"][0]["refused"][0]["code"]
        assert (status, code) == (400 if price else 202, "stop_too_far")
    refused(
        group(
            order_type="LIMIT",
            sl=9000,
            orders=[{"price": 40000, "qty_per": 5}, {"price": 50000, "qty_per": 5}],
        ),
        "stop_too_far",
    )
    assert not trades()
    assert personal(sl=40000, **price)[0] == 202
    assert [trade["stop_price"] for trade in trades() if trade["status"] == "open"] == [D(40000)]


# Leverage


def test_leverage_counts_up_to_the_users_limit() -> None:
    """Above the setting it is refused with the limit; below it sizes the order."""
    records.add_user("1", trade_amount=D(1000), market_type="futures", leverage=5, default_account="paper")
    records.add_account("1", "Demo 0", kind="demo", exchange="binance", **FREE)
    refused(personal(leverage=6), "leverage_too_high", "5", status=422)
    refused(personal(leverage=2.5), "invalid_number", "leverage")
    refused(personal(leverage=""), "empty_field", "leverage")
    refused(personal(leverage=2, market_type="spot"), "leverage_too_high", "1", status=422)
    assert not trades()
    personal(leverage=2)
    assert position() == D("0.04")


# K14, K15: symbols


def test_paper_takes_tradingviews_symbols_only_where_they_fit() -> None:
    """Forex and any character that TradingView has; a colon whose sides do not fit is refused."""
    for symbol in ("USDCAD", "VOLV_B", "LSE:BP.", "360ONE", "BRK-B", "NSE:M&M"):
        assert paper(ticker=symbol, qty=1)[0] == 200
    assert send("/api/webhook", "symbol='NSE:M&M' side=buy qty=1 price=3000")[0] == 200
    refused(send("/api/webhook", "symbol=NSE:M&M side=buy qty=1 price=3000"), "broken_pair")
    for symbol in ("AAPL:NASDAQ", "BTCUSDT:BINANCE", "BTCUSDT:PERP", "BTCUSDTM"):
        refused(paper(ticker=symbol, qty=1), "unknown_symbol")


# K20: errors that help


def test_errors_name_what_would_be_right() -> None:
    """Each says which field, and what works."""
    elsewhere = f"code={CODE[0]} command=buy exchange=okx coinmarket=BTCUSDT amount=1"
    refused(send("/xc", elsewhere), "no_fitting_account", "on this exchange", status=422)
    refused(personal(symbol="BTC-PERP"), "ambiguous_symbol", "BTC-USDT-PERP")
    refused(personal(symbol="SOL-PERP"), "unknown_symbol", "SOL-USDT-PERP")
    refused(paper(orderType="market"), "makes_group_signal", "orderType", "group")
    refused(personal(risk=1), "risk_needs_stop", "risk", "percentage", "stop_loss")
    assert paper(qty=1)[0] == 200
    assert paper(action="sell", qty=1, risk=1)[0] == 200
    refused(personal(lots=1), "unknown_field", "lots", "quantity", "trade_amount")
    refused(personal(risk="high"), "risk_needs_stop", "risk", "percentage", "stop_loss")
    assert personal(action="sell", market_type="spot", risk="high")[0] == 202
