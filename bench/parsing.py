"""Signals parsed per second on one processor, each variant."""

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial

from bench.harness import BenchEnvironment, Figure, interleaved
from chalicelib.signals.reading import fields, variants
from chalicelib.trading import Variant

BUDGET_S = 20

_GROUP = {
    "group_name": "my_strategy",
    "token": "whk_1_x",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
}
_LEGS = [{"price": 78000 - 1000 * leg, "qty_per": 3} for leg in range(4)]
_BODIES = {
    Variant.LEGACY: json.dumps({"symbol": "BTCUSDT", "action": "buy", "price": 95000}),
    Variant.PERSONAL: json.dumps(
        {"symbol": "BINANCE:ETHUSDT.P", "action": "buy", "price": "3200.5", "alert_id": "a-1"}
    ),
    Variant.XC: (
        "code=xc_1_abcdef strategy_id=MyStrategy demo=YES command=sell "
        "exchange=binance coinmarket=BTCUSDT amount=0.05"
    ),
    Variant.GROUP: json.dumps(
        _GROUP | {"symbol": "BTCUSDT", "order_type": "LIMIT", "side": "buy", "orders": _LEGS}
    ),
    Variant.PAPER: json.dumps({"symbol": "AAPL", "side": "buy", "qty": 10, "price": 185.50}),
}
_ROUNDS, _EACH = 15, 200


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures for each variant the bodies that become signals in a second of processor time."""
    for variant, body in _BODIES.items():
        turns = interleaved(
            partial(_per_second, partial(_read, variant, body)),
            partial(_per_second, partial(_bare, body)),
            rounds=_ROUNDS,
            until=bench_environment.ends_at,
        )
        yield Figure(
            f"parsing, {variant.value}",
            "Bodies turned into checked signals, per second and processor.",
            turns.ours,
            "/s",
            baseline=turns.baseline,
            floor_is="split at spaces only" if variant is Variant.XC else "JSON decoded only",
            ratio=turns.ratio,
            grows="with the length of the body.",
        )


def _read(variant: Variant, body: str) -> object:
    return variants.read_signal(variant, fields.read(body.encode()))


def _bare(body: str) -> object:
    return (
        json.loads(body, parse_float=Decimal)
        if body.startswith("{")
        else [pair.split("=") for pair in body.split()]
    )


def _per_second(work: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(_EACH):
        work()
    return _EACH / (time.process_time() - began)
