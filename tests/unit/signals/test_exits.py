"""The exits of a body: their forms on every webhook, and what is refused by name."""

import json
from decimal import Decimal

import pytest

from chalicelib.trading import BreakEven, ExitLevel, TakeProfit, TrailingStop, Variant
from tests.unit.signals.test_variants import GROUP, PAPER, PERSONAL, XC, read, refused

D = Decimal
XC_BODY = {
    "code": "c0de",
    "command": "buy",
    "exchange": "binance",
    "coinmarket": "BTCUSDT",
    "amount": 0.05,
}
BODIES = {
    Variant.PAPER: PAPER,
    Variant.PERSONAL: PERSONAL,
    Variant.LEGACY: PERSONAL,
    Variant.XC: XC_BODY,
    Variant.GROUP: GROUP,
}
FORMS = [
    (170, ExitLevel(price=D(170))),
    ("170.5", ExitLevel(price=D("170.5"))),
    ({"price": "170"}, ExitLevel(price=D(170))),
    ("2%", ExitLevel(percent=D(2))),
    (" 2.50 % ", ExitLevel(percent=D("2.5"))),
    ({"percent": 2}, ExitLevel(percent=D(2))),
    ({"Percent": "2%"}, ExitLevel(percent=D(2))),
    ({"distance": 100}, ExitLevel(distance=D(100))),
]


@pytest.mark.parametrize("variant", BODIES)
@pytest.mark.parametrize(("sent", "level"), FORMS)
def test_a_level_has_three_forms(variant: Variant, sent, level: ExitLevel) -> None:
    """On every webhook, under each name of the field."""
    body = dict(BODIES[variant], action="buy") if variant is Variant.PERSONAL else BODIES[variant]
    for names in (("stop_loss", "take_profit"), ("sl", "tp"), ("stopLoss", "take-profit")):
        signal = read(variant, body, **dict.fromkeys(names, sent))
        assert (signal.stop_loss, signal.take_profit) == (level, level)


def test_a_connection_string_has_numbers_and_percentages() -> None:
    """It has no objects."""
    signal = read(
        Variant.XC, f"{XC.replace('sell', 'buy')} sl=2% tp=60000 break_even_after=1 trailing_stop=1%"
    )
    assert (signal.stop_loss, signal.take_profit) == (ExitLevel(percent=D(2)), ExitLevel(price=D(60000)))
    assert (signal.break_even_after, signal.trailing_stop) == (
        BreakEven(take_profits=1),
        TrailingStop(percent=D(1)),
    )


def test_several_take_profits() -> None:
    """Each in its own form, with its share in percent."""
    signal = read(
        Variant.GROUP,
        GROUP,
        stop_loss="2%",
        take_profits=[
            {"price": 60000, "share": "50%"},
            {"percent": 4, "share": 25},
            {"distance": "5000", "share": 12.5},
        ],
    )
    assert signal.take_profits == (
        TakeProfit(price=D(60000), share=D(50)),
        TakeProfit(percent=D(4), share=D(25)),
        TakeProfit(distance=D(5000), share=D("12.5")),
    )
    assert signal.exits is not None
    assert signal.exits.orders == 7  # three pairs, and a stop-loss for the rest


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (2, BreakEven(take_profits=2)),
        ("1", BreakEven(take_profits=1)),
        ({"take_profit": 2}, BreakEven(take_profits=2)),
        ("1.5%", BreakEven(percent=D("1.5"))),
        ({"percent": 3}, BreakEven(percent=D(3))),
    ],
)
def test_break_even(sent, meant: BreakEven) -> None:
    """After a number of take-profits, or after a move in percent."""
    targets = [{"percent": 1, "share": 50}, {"percent": 2, "share": 50}]
    assert (
        read(
            Variant.PAPER, PAPER, stop_loss=170, take_profits=targets, break_even_after=sent
        ).break_even_after
        == meant
    )


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("1%", TrailingStop(percent=D(1))),
        ({"percent": "1"}, TrailingStop(percent=D(1))),
        (
            {"distance": 5, "activation": "2%"},
            TrailingStop(distance=D(5), activation=ExitLevel(percent=D(2))),
        ),
        (
            {"percent": 1, "activation": {"price": 200}},
            TrailingStop(percent=D(1), activation=ExitLevel(price=D(200))),
        ),
    ],
)
def test_a_trailing_stop(sent, meant: TrailingStop) -> None:
    """By percent or distance, from an activation if wanted."""
    assert read(Variant.PAPER, PAPER, stop_loss=170, trailing_stop=sent).trailing_stop == meant


TP = {"percent": 1, "share": 50}
WRONG = [
    ({"stop_loss": {"percent": 2, "distance": 3}}, "invalid_exit", "stop_loss"),
    ({"stop_loss": {}}, "invalid_exit", "stop_loss"),
    ({"stop_loss": [1]}, "invalid_exit", "stop_loss"),
    ({"stop_loss": True}, "invalid_exit", "stop_loss"),
    ({"stop_loss": {"percent": None}}, "missing_field", "stop_loss.percent"),
    ({"sl": {"percent": 81}}, "out_of_range", "sl.percent"),
    ({"stop_loss": "81%"}, "out_of_range", "stop_loss"),
    ({"stop_loss": "-2%"}, "must_be_positive", "stop_loss"),
    ({"stop_loss": "0%"}, "must_be_positive", "stop_loss"),
    ({"stop_loss": "two%"}, "invalid_number", "stop_loss"),
    ({"stop_loss": {"distance": "2%"}}, "invalid_number", "stop_loss.distance"),
    ({"stop_loss": {"pips": 20}}, "unknown_field", "stop_loss.pips"),
    ({"stop_loss": {"percent": 2, "PERCENT": 3}}, "duplicate_field", "PERCENT"),
    ({"stop_loss": {"percent": "{{plot_0}}"}}, "placeholder", "stop_loss.percent"),
    ({"stop_loss": 2}, "stop_too_far", "stop_loss"),
    ({"stop_loss": {"distance": 180}}, "stop_too_far", "stop_loss"),
    ({"take_profit": {"percent": 1001}}, "out_of_range", "take_profit.percent"),
    ({"take_profits": []}, "invalid_take_profits", "take_profits"),
    ({"take_profits": TP}, "invalid_take_profits", "take_profits"),
    ({"take_profits": [200]}, "invalid_take_profits", "take_profits"),
    ({"take_profits": [TP] * 7}, "too_many_take_profits", "take_profits"),
    ({"take_profits": [TP, TP, {"percent": 3, "share": 1}]}, "shares_above_whole", "take_profits"),
    ({"take_profits": [{"percent": 1}]}, "missing_field", "take_profits[0].share"),
    ({"take_profits": [TP, {"share": 50}]}, "invalid_exit", "take_profits[1]"),
    ({"take_profits": [{"percent": 1, "share": 101}]}, "out_of_range", "take_profits[0].share"),
    ({"take_profits": [{**TP, "qty": 1}]}, "unknown_field", "take_profits[0].qty"),
    ({"take_profits": [TP], "tp": 200}, "not_beside", "take_profits"),
    ({"take_profits": ""}, "empty_field", "take_profits"),
    ({"break_even_after": 1}, "exit_needs", "break_even_after"),
    ({"break_even_after": 1, "stop_loss": 170}, "exit_needs", "break_even_after"),
    ({"break_even_after": 2, "stop_loss": 170, "tp": 200}, "exit_needs", "break_even_after"),
    ({"break_even_after": 1.5, "stop_loss": 170, "tp": 200}, "invalid_number", "break_even_after"),
    ({"break_even_after": {}, "stop_loss": 170}, "invalid_exit", "break_even_after"),
    ({"break_even_after": True, "stop_loss": 170}, "invalid_exit", "break_even_after"),
    ({"trailing_stop": 1}, "invalid_exit", "trailing_stop"),
    ({"trailing_stop": "1"}, "invalid_exit", "trailing_stop"),
    ({"trailing_stop": {"activation": "1%"}}, "invalid_exit", "trailing_stop"),
    ({"trailing_stop": {"percent": 1, "price": 2}}, "unknown_field", "trailing_stop.price"),
    ({"trailing_stop": {"percent": 1, "activation": "1%"}}, "exit_needs", "trailing_stop.activation"),
    (
        {"trailing_stop": {"percent": 1, "activation": None}, "sl": 170},
        "empty_field",
        "trailing_stop.activation",
    ),
]


@pytest.mark.parametrize(("exits", "code", "field"), WRONG, ids=[json.dumps(each[0])[:60] for each in WRONG])
def test_a_wrong_exit_is_refused_by_name(exits, code: str, field: str) -> None:
    """The error names the field, and nothing is guessed."""
    error = refused(Variant.PAPER, PAPER, **exits)
    assert (error.code, error.values["field"]) == (code, field)


@pytest.mark.parametrize("key", ["trailing", "takeProfits2", "break_even", "tp2", "trail_percent"])
def test_a_name_like_an_exit_is_refused(key: str) -> None:
    """Ignoring it would leave the position without the exit that was meant."""
    assert refused(Variant.PAPER, PAPER, **{key: 1}).code == "unknown_field"


def test_a_closing_signal_reads_no_exit() -> None:
    """However broken, it closes."""
    signal = read(Variant.GROUP, GROUP, side="close", stop_loss={"x": 1}, take_profits="?", trailing_stop=1)
    assert signal.exits is None
