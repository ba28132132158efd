"""What each variant's fields mean, and each refusal."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from chalicelib.errors import Refused
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import fields, variants
from chalicelib.trading import Action, ExitLevel, Leg, MarketType, OrderType, TimeInForce, Variant

GROUP = {
    "group_name": "my_strategy",
    "token": "your_webhook_token",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
    "order_type": "MARKET",
    "side": "buy",
}
CANCEL = {"group_name": "my_strategy", "token": "your_webhook_token", "order_type": "CANCEL_ALL_ORDER"}
PAPER = {"symbol": "AAPL", "side": "buy", "price": 185.5}
PERSONAL = {"symbol": "BTCUSDT", "action": "buy"}
XC = "code=c0de strategy_id=MyStrategy demo=YES command=sell exchange=binance coinmarket=BTCUSDT amount=0.05"


def read(variant: Variant, body: dict | str | bytes, **more) -> Signal:
    if isinstance(body, dict):
        body = json.dumps({**body, **more})
    return variants.read_signal(variant, fields.read(body if isinstance(body, bytes) else body.encode()))


def refused(variant: Variant, body: dict | str | bytes, **more) -> Refused:
    with pytest.raises(Refused) as caught:
        read(variant, body, **more)
    assert caught.value.status == 400
    return caught.value


def without(body: dict, *names: str) -> dict:
    return {name: value for name, value in body.items() if name not in names}


# Which variant


@pytest.mark.parametrize("mark", ["group_name", "orderType", "MARKET-TYPE", "qty per", "orders"])
def test_a_group_field_makes_a_group_signal(mark):
    """Any of the five group fields on /api/webhook, however spelled, makes the body a group signal."""
    assert (
        variants.variant_of_api_webhook(fields.read(json.dumps({**PAPER, mark: 1}).encode())) is Variant.GROUP
    )


def test_anything_else_is_a_paper_signal():
    """A body without a group field is a paper signal."""
    assert (
        variants.variant_of_api_webhook(
            fields.read(json.dumps({**PAPER, "token": "t", "account": "A"}).encode())
        )
        is Variant.PAPER
    )


# Legacy and personal


@pytest.mark.parametrize("variant", [Variant.LEGACY, Variant.PERSONAL])
def test_the_arabic_seeds_signal(variant):
    """Symbol, action and a reference price; the owner's settings size it."""
    signal = read(variant, {"symbol": "BTCUSDT", "action": "buy", "price": 50000})
    assert (signal.variant, signal.action, signal.symbol.name) == (variant, Action.BUY, "BTCUSDT")
    assert (signal.order_type, signal.price, signal.quantity) == (OrderType.MARKET, Decimal(50000), None)


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("buy", Action.BUY),
        ("SELL", Action.SELL),
        ("Long", Action.LONG),
        ("short", Action.SHORT),
        ("close", Action.CLOSE),
        ("exit", Action.CLOSE),
        (" stop ", Action.STOP),
    ],
)
def test_every_action(word, action):
    """Each action word, in any case, is known in legacy, personal and group signals."""
    assert read(Variant.PERSONAL, PERSONAL, action=word).action is action
    assert read(Variant.LEGACY, PERSONAL, action=word).action is action
    assert read(Variant.GROUP, GROUP, side=word).action is action


def test_complaint_7_contracts_do_not_size_a_personal_signal():
    """`{{strategy.order.contracts}}` counts in the strategy's own equity, so the owner's `trade_amount`
    decides and it is only kept.
    """
    signal = read(Variant.PERSONAL, PERSONAL, contracts="0.37", exchange="NASDAQ")
    assert signal.quantity is None
    assert signal.exchange is None
    assert signal.unknown == {"quantity": "0.37", "exchange": "NASDAQ"}


def test_a_limit_is_one_only_where_the_order_type_says_so():
    """`order_type: limit` makes `price` a limit, and needs it."""
    assert read(Variant.PERSONAL, PERSONAL, order_type="limit", price="50000").order_type is OrderType.LIMIT
    assert refused(Variant.PERSONAL, PERSONAL, order_type="Limit").values == {"field": "price"}


def test_complaint_3_a_perpetual_against_a_spot_market_is_refused():
    """A body with SPOT next to a perpetual's name trades neither."""
    assert (
        refused(Variant.PERSONAL, PERSONAL, symbol="BTCUSDT.P", market_type="SPOT").code
        == "perpetual_on_spot"
    )
    assert refused(Variant.GROUP, GROUP, symbol="BTCUSDT.P", market_type="SPOT").code == "perpetual_on_spot"


@pytest.mark.parametrize(("left_out", "named"), [("symbol", "symbol"), ("action", "side")])
def test_complaint_13_a_missing_field_is_a_400_that_names_it(left_out, named):
    """A body without symbol or action is answered with the field's name."""
    error = refused(Variant.PERSONAL, without(PERSONAL, left_out))
    assert (error.code, error.values) == ("missing_field", {"field": named})


def test_complaint_17_an_exit_needs_no_trade_id():
    """A close names only its symbol, which is all TradingView knows."""
    signal = read(Variant.PERSONAL, PERSONAL, action="exit")
    assert (signal.action, signal.quantity) == (Action.CLOSE, None)


def test_tradingviews_positions_are_kept():
    """Position before and after the order stay, to tell a missed alert by."""
    signal = read(Variant.PERSONAL, PERSONAL, market_position="LONG", prevMarketPosition="flat")
    assert (signal.market_position, signal.prev_market_position) == ("long", "flat")
    assert refused(Variant.PERSONAL, PERSONAL, market_position="up").code == "invalid_choice"


def test_terms_of_an_order():
    """Time in force, reduce-only, post-only and exits are read in any spelling, and unset by default."""
    signal = read(
        Variant.PERSONAL, PERSONAL, tif="ioc", reduceOnly=True, post_only="no", tp="51000", stopLoss=49000
    )
    assert (signal.time_in_force, signal.reduce_only, signal.post_only) == (TimeInForce.IOC, True, False)
    levels = (ExitLevel(price=Decimal(51000)), ExitLevel(price=Decimal(49000)))
    assert (signal.take_profit, signal.stop_loss) == levels
    plain = read(Variant.PERSONAL, PERSONAL)
    assert (plain.time_in_force, plain.reduce_only, plain.take_profit) == (None, False, None)


# xc


def test_the_xc_seeds_connection_string():
    """The printed connection string is a sell of base units on demo accounts."""
    signal = read(Variant.XC, XC)
    assert (signal.action, signal.exchange, signal.symbol.name) == (Action.SELL, "binance", "BTCUSDT")
    assert (signal.quantity, signal.demo, signal.strategy_id) == (Decimal("0.05"), True, "MyStrategy")
    assert "c0de" not in repr(signal)


@pytest.mark.parametrize(
    ("demo", "meant"),
    [
        ("demo=YES", True),
        ("", True),
        ("demo=", True),
        ("demo=no", False),
        ("demo=false", False),
        ("demo=1", True),
    ],
)
def test_demo_unless_said_otherwise(demo, meant):
    """Only an explicit NO trades live."""
    assert read(Variant.XC, XC.replace("demo=YES", demo)).demo is meant


@pytest.mark.parametrize(
    ("variant", "body"), [(Variant.PERSONAL, PERSONAL), (Variant.LEGACY, PERSONAL), (Variant.GROUP, GROUP)]
)
def test_demo_is_heard_everywhere(variant, body):
    """A sender who asks for demo is never taken to mean live because only xc has to say it."""
    assert read(variant, body).demo is None
    assert read(variant, body, demo="YES").demo is True


def test_a_doubtful_demo_is_refused():
    """A word that is neither yes nor no is not taken for live trading."""
    assert refused(Variant.XC, XC.replace("YES", "maybe")).code == "invalid_choice"


@pytest.mark.parametrize("part", ["exchange=binance", "command=sell", "coinmarket=BTCUSDT", "amount=0.05"])
def test_xc_needs_its_fields(part):
    """What to trade, where and how much is never completed by a guess."""
    assert refused(Variant.XC, XC.replace(part, "")).code == "missing_field"


def test_xc_closes_without_an_amount():
    """A close takes the whole position, whatever amount the template still holds."""
    assert (
        read(Variant.XC, XC.replace("command=sell", "command=close").replace("amount=0.05", "")).quantity
        is None
    )
    assert read(Variant.XC, XC.replace("command=sell", "command=close")).quantity is None


def test_xc_refuses_what_its_exchange_cannot_be():
    """An unknown exchange, and a share on a crypto exchange, get an error that names them."""
    assert refused(Variant.XC, XC.replace("binance", "binnance")).values == {
        "field": "exchange",
        "allowed": "binance, bybit, okx, paper",
    }
    assert refused(Variant.XC, XC.replace("BTCUSDT", "SOL")).code == "share_on_exchange"
    assert read(Variant.XC, XC.replace("binance", "BYBIT_DL")).exchange == "bybit"


def test_a_further_exchange_is_known_by_configuration(monkeypatch):
    """A deployment that names another exchange has it accepted."""
    monkeypatch.setenv("TRADEHOOK_EXCHANGES", "binance kraken")
    read_fields = fields.read(XC.replace("binance", "kraken").encode())
    assert variants.read_signal(Variant.XC, read_fields).exchange == "kraken"


# Paper


@pytest.mark.parametrize(
    ("body", "quantity"),
    [
        ({"symbol": "AAPL", "side": "buy", "qty": 100, "price": 185.5}, 100),
        ({"ticker": "AAPL", "action": "buy", "contracts": 50, "price": 185.5}, 50),
        ({"symbol": "AAPL", "side": "buy", "limit_price": "185.50"}, 100),
    ],
)
def test_the_paper_seeds_formats(body, quantity):
    """Standard and TradingView format, with 100 as the default quantity."""
    signal = read(Variant.PAPER, body)
    assert (signal.action, signal.symbol.name, signal.quantity, signal.price) == (
        Action.BUY,
        "AAPL",
        quantity,
        Decimal("185.5"),
    )
    assert signal.order_type is OrderType.MARKET


def test_paper_account_by_name():
    """A named account stays as written."""
    assert read(Variant.PAPER, PAPER, account="策略A").account == "策略A"


@pytest.mark.parametrize(
    ("word", "action"),
    [
        *((word, Action.BUY) for word in ("buy", "long", "buy_to_open", "BuyToOpen")),
        *((word, Action.SELL) for word in ("sell", "short", "sell_to_close", "close", "SELL")),
    ],
)
def test_the_paper_seeds_side_table(word, action):
    """Paper has its own table of sides, in which close sells."""
    assert read(Variant.PAPER, PAPER, side=word).action is action


@pytest.mark.parametrize("word", ["exit", "stop", "hold", "", 1, True, ["buy"]])
def test_other_paper_sides_are_refused(word):
    """A side outside the table is a 400, whatever its type."""
    assert refused(Variant.PAPER, PAPER, side=word).code in ("invalid_choice", "missing_field")


def test_all_missing_fields_are_named_at_once():
    """One answer names all missing fields, so that a sender can correct the body at once."""
    assert refused(Variant.PAPER, {"qty": 1}).values == {"field": "symbol, side, price"}


# Group


def test_a_market_order_of_the_group_seed():
    """A single order has one leg with its percentage."""
    signal = read(Variant.GROUP, GROUP, qty_per=10)
    assert (signal.exchange, signal.market_type, signal.currency) == ("binance", MarketType.FUTURES, "USDT")
    assert (signal.group_name, signal.batch, signal.legs) == (
        "my_strategy",
        False,
        (Leg(percent=Decimal(10)),),
    )


def test_a_group_order_takes_everything_by_default():
    """`qty_per` is 100 when it is left out."""
    assert read(Variant.GROUP, GROUP).legs == (Leg(percent=Decimal(100)),)


def test_a_stop_limit_order_of_the_group_seed():
    """Price and stop price go into the leg."""
    signal = read(
        Variant.GROUP,
        GROUP,
        order_type="STOP_LIMIT",
        side="sell",
        price=105000,
        stop_price="104000",
        qty_per=25,
    )
    assert signal.legs == (Leg(percent=Decimal(25), price=Decimal(105000), stop_price=Decimal(104000)),)


def test_the_price_of_a_market_order_is_a_reference():
    """A price next to MARKET never becomes a limit."""
    signal = read(Variant.GROUP, GROUP, price=80000)
    assert (signal.price, signal.legs[0].price) == (Decimal(80000), None)


def test_a_batch_of_the_group_seed():
    """Each entry of `orders` is a leg, in order, and even one makes it a batch."""
    orders = [
        {"price": 105000, "stop_price": 104000, "qty_per": 10},
        {"Price": "107000", "stopPrice": 106000, "qty-per": 15},
    ]
    signal = read(Variant.GROUP, GROUP, order_type="STOP_LIMIT", orders=orders)
    assert signal.batch
    assert signal.legs == (
        Leg(percent=Decimal(10), price=Decimal(105000), stop_price=Decimal(104000)),
        Leg(percent=Decimal(15), price=Decimal(107000), stop_price=Decimal(106000)),
    )
    assert read(Variant.GROUP, GROUP, order_type="LIMIT", orders=[{"price": 1, "qty_per": 3}]).batch


@pytest.mark.parametrize(
    "name", ["group_name", "exchange", "market_type", "currency", "symbol", "order_type", "side"]
)
def test_each_required_group_field_is_named(name):
    """A group signal without a required field names it, in the seed's words."""
    error = refused(Variant.GROUP, without(GROUP, name))
    assert (error.code, error.values) == ("missing_field", {"field": name})


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"order_type": "LIMIT"}, "missing_field", "price"),
        ({"order_type": "STOP_LIMIT", "price": 1}, "missing_field", "stop_price"),
        ({"order_type": "STOP_MARKET"}, "missing_field", "stop_price"),
        ({"order_type": "LIMIT", "price": 1, "stop_price": 2}, "not_for_order_type", "stop_price"),
        ({"stop_price": 2}, "not_for_order_type", "stop_price"),
        ({"order_type": "TRAILING"}, "invalid_choice", "order_type"),
        ({"market_type": "MARGIN"}, "invalid_choice", "market_type"),
        ({"exchange": "FTX"}, "invalid_choice", "exchange"),
        ({"side": "hold"}, "invalid_choice", "side"),
        ({"quantity": 1}, "quantity_without_percent", "quantity"),
        ({"qty": 1}, "quantity_without_percent", "qty"),
        ({"qty_per": 0}, "must_be_positive", "qty_per"),
        ({"qty_per": 100.01}, "out_of_range", "qty_per"),
        ({"qty_per": "50%"}, "invalid_number", "qty_per"),
        ({"orders": []}, "invalid_orders", "orders"),
        ({"orders": {}}, "invalid_orders", "orders"),
        ({"orders": "[]"}, "invalid_orders", "orders"),
        ({"orders": [1]}, "invalid_orders", "orders"),
        ({"orders": [{}]}, "missing_field", "orders[0].qty_per"),
        ({"orders": [{"qty_per": 1, "price": 5}]}, "not_for_order_type", "orders[0].price"),
        ({"orders": [{"qty_per": 1, "side": "sell"}]}, "not_in_orders", "orders[0].side"),
        ({"orders": [{"qty_per": 1}], "qty_per": 5}, "not_beside_orders", "qty_per"),
        ({"order_type": "LIMIT", "orders": [{"qty_per": 1}]}, "missing_field", "orders[0].price"),
        (
            {"order_type": "LIMIT", "orders": [{"qty_per": 1, "price": 1}, {"qty_per": 0, "price": 1}]},
            "must_be_positive",
            "orders[1].qty_per",
        ),
        ({"orders": [{"qty_per": 1, "stop_price": 1}]}, "not_for_order_type", "orders[0].stop_price"),
    ],
)
def test_group_refusals_name_the_field(more, code, field):
    """What a group order cannot mean is a 400 with the field as the sender spelled it."""
    error = refused(Variant.GROUP, GROUP, **more)
    assert (error.code, error.values["field"]) == (code, field)


def test_a_batch_has_an_end():
    """More legs than a worker can place are refused at once."""
    assert refused(Variant.GROUP, GROUP, orders=[{"qty_per": 1}] * 26).code == "too_many_orders"


def test_a_quantity_beside_a_percentage_is_only_kept():
    """The percentage sizes the order; a quantity sent for the record stays in the trace."""
    signal = read(Variant.GROUP, GROUP, qty=3, qty_per=5)
    assert (signal.quantity, signal.unknown) == (None, {"quantity": Decimal(3)})


def test_a_currency_that_is_not_the_symbols_is_refused():
    """A symbol quoted in something else than the named currency trades neither."""
    assert refused(Variant.GROUP, GROUP, currency="BUSD").code == "currency_mismatch"


# Cancel


def test_cancel_everything():
    """Without filters a cancel covers all of the strategy."""
    signal = read(Variant.GROUP, CANCEL)
    assert (signal.action, signal.group_name) == (Action.CANCEL_ALL, "my_strategy")
    assert (signal.exchange, signal.market_type, signal.symbol) == (None, None, None)


def test_cancel_filters():
    """Exchange, market and symbol narrow a cancel, in any spelling."""
    signal = read(
        Variant.GROUP,
        CANCEL,
        Exchange="okx",
        marketType="spot",
        ticker="BTC-USDT",
        alert_id="7",
        timenow="2026-01-22T15:30:00Z",
    )
    assert (signal.exchange, signal.market_type, signal.symbol.name) == ("okx", MarketType.SPOT, "BTCUSDT")
    assert signal.idempotency_key == "7"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"side": "buy"}, "unknown_filter"),
        ({"currency": "USDT"}, "unknown_filter"),
        ({"price": 1}, "unknown_filter"),
        ({"orders": []}, "unknown_filter"),
        ({"symbl": "BTCUSDT"}, "unknown_filter"),
        ({"comment": None}, "unknown_filter"),
        ({"symbol": ""}, "empty_filter"),
        ({"exchange": None}, "empty_filter"),
        ({"market_type": " "}, "empty_filter"),
        ({"exchange": "BINANC"}, "invalid_choice"),
        ({"market_type": "MARGIN"}, "invalid_choice"),
        ({"symbol": "BTC"}, "ambiguous_symbol"),
        ({"symbol": "BTCUSDT240628"}, "unknown_symbol"),
        ({"symbol": ["BTCUSDT"]}, "invalid_text"),
        ({"symbol": "BTCUSDT.P", "market_type": "SPOT"}, "perpetual_on_spot"),
        ({"symbol": "{{ticker}}"}, "placeholder"),
    ],
)
def test_a_cancel_is_never_widened(more, code):
    """An unknown, empty or misspelled filter refuses the cancel instead of cancelling more."""
    assert refused(Variant.GROUP, CANCEL, **more).code == code


# Numbers


@pytest.mark.parametrize(
    ("price", "code"),
    [
        ("0", "must_be_positive"),
        ("-5", "must_be_positive"),
        ("-0.0", "must_be_positive"),
        ("NaN", "invalid_number"),
        ("Infinity", "invalid_number"),
        ("-Infinity", "invalid_number"),
        ("1e999", "out_of_range"),
        ("1e99999999999999999999", "invalid_number"),
        ("1e-19", "out_of_range"),
        ("1000000000000000001", "out_of_range"),
        ("1.234567890123456789012345678901", "too_many_digits"),
        ("true", "invalid_number"),
        ("[5]", "invalid_number"),
        ('{"a":5}', "invalid_number"),
        ('"five"', "invalid_number"),
        ('"1,000"', "invalid_number"),
        ('"1_000"', "invalid_number"),
        ('"٥"', "invalid_number"),
        ('"0x10"', "invalid_number"),
        ('"NaN"', "invalid_number"),
        ('"1e999"', "out_of_range"),
        ('"{{close}}"', "placeholder"),
    ],
)
def test_what_is_no_price(price, code):
    """Only a positive finite number within bounds is a price; anything else names the field."""
    error = refused(Variant.PAPER, f'{{"symbol":"AAPL","side":"buy","price":{price}}}')
    assert (error.code, error.values["field"]) == (code, "price")


@pytest.mark.parametrize(
    ("price", "value"),
    [
        ("185.50", "185.5"),
        ('"185.50"', "185.5"),
        ('" 185.5 "', "185.5"),
        ("1.855e2", "185.5"),
        ('"+185.5"', "185.5"),
        ('".5"', "0.5"),
        ("1e18", "1000000000000000000"),
        ("1E-18", "1E-18"),
        ("0.100000000000000000000000000000000000000000000000", "0.1"),
        ("123456789012345678.123456789012", "123456789012345678.123456789012"),
    ],
)
def test_what_is_a_price(price, value):
    """JSON numbers, numeric strings and exponents give the same exact Decimal, without trailing zeros."""
    signal = read(Variant.PAPER, f'{{"symbol":"AAPL","side":"buy","qty":1,"price":{price}}}')
    assert str(signal.price) == value


def test_complaint_10_fractions_of_any_size():
    """A quantity such as TradingView's 1e-05 is neither rounded nor refused."""
    assert read(Variant.XC, XC.replace("0.05", "1e-05")).quantity == Decimal("0.00001")


# Times and keys


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-22T15:30:00Z",
        "2026-01-22T15:30:00",
        "2026-01-22 15:30:00",
        "2026-01-23T00:30:00+09:00",
        1769095800,
        "1769095800",
        1769095800000,
    ],
)
@pytest.mark.parametrize("key", ["timestamp", "timenow", "timeNow"])
def test_when_a_signal_was_sent(key, value):
    """ISO 8601 and epoch seconds or milliseconds are the same moment in UTC."""
    assert read(Variant.PERSONAL, PERSONAL, **{key: value}).sent_at == datetime(
        2026, 1, 22, 15, 30, tzinfo=UTC
    )


def test_fractions_of_a_second_are_kept():
    """Milliseconds count."""
    assert read(Variant.PERSONAL, PERSONAL, timestamp=1769095800.25).sent_at.microsecond == 250_000
    assert read(Variant.PERSONAL, PERSONAL, timestamp=1769095800250).sent_at.microsecond == 250_000


def test_the_older_of_two_times_counts():
    """A bar's time next to the time of sending lets no stale signal pass."""
    signal = read(
        Variant.PERSONAL, PERSONAL, timestamp="2026-01-22T15:00:00Z", timenow="2026-01-22T15:30:00Z"
    )
    assert signal.sent_at == datetime(2026, 1, 22, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2026-01-22",
        "2026-13-01T00:00:00Z",
        0,
        -1,
        12345,
        1e20,
        True,
        [1],
        "0001-01-01T00:00:00+14:00",
        "١٧٦٩٠٩٥٨٠٠",
        "NaN",
    ],
)
def test_a_broken_time_is_refused(value):
    """A time that cannot be read must not pass for a fresh one."""
    assert refused(Variant.PERSONAL, PERSONAL, timestamp=value).code == "invalid_time"


@pytest.mark.parametrize(
    "body", [{"alert_id": "a-1"}, {"idempotency_key": "a-1"}, {"alertId": "a-1", "idempotencyKey": "a-1"}]
)
def test_the_senders_own_key(body):
    """`alert_id` and `idempotency_key` are one field; `id` is neither."""
    signal = read(Variant.PERSONAL, PERSONAL, **body, id="9")
    assert (signal.idempotency_key, signal.unknown) == ("a-1", {"id": "9"})


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"account": "x" * 257}, "too_long"),
        ({"account": {"a": 1}}, "invalid_text"),
        ({"account": True}, "invalid_text"),
    ],
)
def test_names_are_short_texts(more, code):
    """A name is a text of sane length."""
    assert refused(Variant.PAPER, PAPER, **more).code == code


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ticker": "{{ticker}}", "action": "buy"}, "ticker"),
        ({"symbol": "BINANCE:{{ticker}}", "action": "buy"}, "symbol"),
        ({"symbol": "BTCUSDT", "action": "{{strategy.order.action}}"}, "action"),
        ({"symbol": "BTCUSDT", "action": "buy", "price": "{{close}}"}, "price"),
        ({"symbol": "BTCUSDT", "action": "buy", "timenow": "{{timenow}}"}, "timenow"),
    ],
)
def test_an_unfilled_placeholder_is_named(body, field):
    """A message that TradingView did not fill, as when it is pasted into curl, says which placeholder is
    left.
    """
    error = refused(Variant.PERSONAL, body)
    assert (error.code, error.values["field"]) == ("placeholder", field)


def test_an_unfilled_placeholder_elsewhere_does_no_harm():
    """An unused key may hold anything."""
    assert read(Variant.PERSONAL, PERSONAL, comment="{{strategy.order.comment}}").unknown == {
        "comment": "{{strategy.order.comment}}"
    }


def test_what_is_unknown_is_kept_without_credentials():
    """Unknown keys stay in the signal; credentials among them, or repeated inside a text, do not."""
    signal = read(
        Variant.GROUP, GROUP, rsi=70, passphrase="open", note="sent with your_webhook_token", huge=10**60
    )
    assert signal.unknown == {
        "rsi": Decimal(70),
        "passphrase": "***",
        "note": "sent with ***",
        "huge": str(10**60),
    }
    assert "your_webhook_token" not in signal.model_dump_json()


# By hand


def test_an_order_by_hand():
    """An admin's order has its own quantity and order type."""
    body = {
        "symbol": "ETHUSDT",
        "side": "sell",
        "qty": 2,
        "order_type": "stop_market",
        "stop_price": 1900,
        "market_type": "futures",
    }
    signal = read(Variant.MANUAL, body)
    assert (signal.variant, signal.quantity, signal.stop_price) == (Variant.MANUAL, Decimal(2), Decimal(1900))
    assert refused(Variant.MANUAL, without(body, "qty")).values == {"field": "quantity"}
