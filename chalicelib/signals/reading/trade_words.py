"""Recognises unknown keys that would change the trade, by the words in them.

An opening signal with such a key is refused, because ignoring the key would change the trade. This is the
only list of these words.
"""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import lru_cache

from chalicelib.signals.reading.field_definitions import BY_NAME, FIELDS, Field, Kind, squash
from chalicelib.trading import Variant

CHART_NAMES = frozenset(
    (
        *(
            "open",
            "high",
            "low",
            "close",
            "volume",
            "time",
            "interval",
            "exchange",
            "currency",
            "basecurrency",
        ),
        *("comment", "orderid", "orderprice", "ordercomment", "alertmessage"),
    )
)
"""Squashed names of TradingView's placeholders that templates carry for information."""

OTHER_CREDENTIALS = frozenset({"key", "passphrase", "apikey"})
"""Squashed names that may hold another product's secret. Masked and ignored next to one of our tokens."""

_CHANGES = frozenset(Kind) - {Kind.INSTRUMENT, Kind.LABEL}

WORDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.PROTECTION: (
        *(
            "stop",
            "stoploss",
            "sl",
            "tp",
            "takeprofit",
            "profit",
            "loss",
            "target",
            "tgt",
            "trail",
            "trailing",
            "breakeven",
        ),
        *("protect", "protection", "protective", "bracket", "oco", "risk", "drawdown"),
    ),
    Kind.SIZE: (
        *(
            "qty",
            "quantity",
            "percent",
            "percentage",
            "pct",
            "perc",
            "size",
            "sizing",
            "amount",
            "amt",
            "units",
            "unit",
            "lot",
            "lots",
        ),
        *(
            "share",
            "shares",
            "contract",
            "contracts",
            "notional",
            "cost",
            "usd",
            "usdt",
            "usdc",
            "cash",
            "dollar",
            "dollars",
            "eur",
        ),
        *(
            "money",
            "stake",
            "invest",
            "investment",
            "coins",
            "allocation",
            "alloc",
            "exposure",
            "budget",
            "capital",
            "funds",
            "equity",
        ),
        *(
            "balance",
            "fraction",
            "multiplier",
            "weight",
            "ordervalue",
            "positionvalue",
            "tradevalue",
            "ordervolume",
            "tradevolume",
        ),
        *("pyramiding",),
    ),
    Kind.ORDER_TYPE: (
        "ordertype",
        "executiontype",
        "exectype",
        "orderkind",
        "tif",
        "timeinforce",
        "postonly",
        "iceberg",
        "twap",
    ),
    Kind.PRICE: ("limit", "trigger", "activation", "entryprice"),
    Kind.LEVERAGE: ("leverage", "lev", "margin", "gearing"),
    Kind.REDUCE: (
        "reduce",
        "reduceonly",
        "close",
        "closeposition",
        "closeall",
        "exit",
        "flatten",
        "flat",
        "reverse",
        "reversal",
        "flip",
    ),
    Kind.DIRECTION: ("direction", "side", "action", "command", "hedge", "hedged", "marketposition"),
    Kind.INSTRUMENT: ("markettype",),
    Kind.ACCOUNT: (
        *(
            "account",
            "acct",
            "acc",
            "subaccount",
            "portfolio",
            "wallet",
            "demo",
            "testnet",
            "sandbox",
            "dryrun",
            "simulated",
            "simulation",
        ),
        *("paper", "live", "testmode", "broker"),
    ),
    Kind.CREDENTIAL: (
        "token",
        "secret",
        "password",
        "passwd",
        "pwd",
        "pin",
        "passphrase",
        "credential",
        "auth",
        "apikey",
    ),
}
"""Words of keys that would change the trade. An opening signal with such a key is refused."""

_BESIDE_CLOSE = frozenset(
    {"time", "price", "prev", "previous", "prior", "last", "bar", "candle", "daily", "day", "date", "at"}
)
"""`prev_close` and `close_time` are chart data and do not close."""

_GROUPING = frozenset({"order"})
"""Names of objects with other keys, which are checked themselves."""

_WINNING = ("tp", "profit", "takeprofit", "target", "tgt")
_SHORT = ("sl", "tp", "qty")
_FILLERS = (
    "price",
    "level",
    "value",
    "pct",
    "percent",
    "pips",
    "points",
    "ticks",
    "type",
    "distance",
    "dist",
    "offset",
    "loss",
    "profit",
)
_LONG_WORD = 6
"""Letters from which a word counts anywhere in a key. Shorter words occur inside others."""

_ALIKE = 0.84
"""Similarity by `difflib` from which an unknown key counts as a misspelled known key."""

_PLOT = re.compile(r"plot\d*")
_TOKEN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def is_chart(key: str) -> bool:
    """Returns whether a key is a chart placeholder of TradingView, which is for information only."""
    squashed = squash(key)
    return squashed in CHART_NAMES or bool(_PLOT.fullmatch(squashed))


@lru_cache(maxsize=4096)  # alerts of one template have the same keys
def kind_of(key: str) -> Kind | None:
    """Returns what an unknown key would decide, by its words or its similarity to a known key.

    None if the key does not change the trade.
    """
    squashed = squash(key)
    if is_chart(key) or squashed in OTHER_CREDENTIALS or squashed in _GROUPING:
        return None
    tokens = [token.lower() for token in _TOKEN.findall(key)]
    for kind, words in WORDS.items():
        if any(_has(word, tokens, squashed) for word in words):
            return kind
    alike = _alike(squashed, _CHANGES, _ALIKE)
    return alike.kind if alike else None


def nearest(key: str, variant: Variant) -> str:
    """Returns the known key that an unknown key probably stands for, among those that the webhook reads."""
    kind, squashed = kind_of(key), squash(key)
    if kind is Kind.SIZE:
        return "qty_per" if variant is Variant.GROUP else "quantity"
    if kind is Kind.PROTECTION:
        wins = any(
            _has(word, [token.lower() for token in _TOKEN.findall(key)], squashed) for word in _WINNING
        )
        return "take_profit" if wins else "risk_percent" if "risk" in squashed else "stop_loss"
    if kind is Kind.CREDENTIAL:
        return "token"
    alike = _alike(squashed, {kind} if kind else _CHANGES, 0)
    return alike.name if alike else "side"


def changes_trade(name: str) -> bool:
    """Returns whether a known field would change the trade. Chart placeholders and labels would not."""
    return BY_NAME[name].kind in _CHANGES and not is_chart(name)


def _has(word: str, tokens: list[str], squashed: str) -> bool:
    if word == "close" and _BESIDE_CLOSE.intersection(tokens):
        return False
    if any(word in (token, token.removesuffix("s")) for token in tokens):
        return True
    if word in _SHORT:
        bare = squashed.rstrip("0123456789")
        return bare == word or any(bare in (word + filler, filler + word) for filler in _FILLERS)
    return len(word) >= _LONG_WORD and word in squashed


def _alike(squashed: str, kinds: Collection[Kind], cutoff: float) -> Field | None:
    named = [
        field for field in FIELDS if field.kind in kinds or (field.name == "market_type" and len(kinds) > 1)
    ]
    names = {squash(name): field for field in named for name in (field.name, *field.aliases)}
    found = get_close_matches(squashed, names, n=1, cutoff=cutoff)
    return names[found[0]] if found else None
