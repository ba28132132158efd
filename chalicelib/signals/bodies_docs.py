"""The bodies of the webhooks for the OpenAPI document.

`docs/signals.md` lists further spellings of the keys.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.openapi.examples import USER_ID
from chalicelib.openapi.schemas import TEXT, Schema, listed, obj
from chalicelib.signals.reading.exits import MOST_TAKE_PROFITS
from chalicelib.signals.reading.field_definitions import FIELDS, Kind
from chalicelib.trading import Variant

_NUMBER: Schema = {"type": ["number", "string"], "description": "A number, or a text that is one"}
_SIDE: Schema = {**TEXT, "examples": ["buy", "sell", "long", "short", "close", "exit", "stop"]}
_TYPE: Schema = {**TEXT, "examples": ["MARKET", "LIMIT", "STOP_LIMIT", "STOP_MARKET"]}
_PRICES: Mapping[str, Schema] = {"price": _NUMBER, "stop_price": _NUMBER}
_NUMBERS = (Kind.SIZE, Kind.PRICE, Kind.PROTECTION, Kind.LEVERAGE)


_LEVEL_KEYS: Mapping[str, Schema] = {"price": _NUMBER, "percent": _NUMBER, "distance": _NUMBER}
_OFFSET_KEYS: Mapping[str, Schema] = {"percent": _NUMBER, "distance": _NUMBER}


def _form(*keys: Mapping[str, Schema]) -> Schema:
    """Returns the schema of an exit: a number, a percentage, or an object with one of its keys."""
    merged = {name: schema for each in keys for name, schema in each.items()}
    return {"anyOf": [_NUMBER, {"type": "object", "properties": merged, "additionalProperties": False}]}


_EXITS: Mapping[str, Schema] = {
    "take_profit": _form(_LEVEL_KEYS),
    "stop_loss": _form(_LEVEL_KEYS),
    "take_profits": {
        **listed(obj({**_LEVEL_KEYS}, share=_NUMBER)),
        "minItems": 1,
        "maxItems": MOST_TAKE_PROFITS,
    },
    "break_even_after": _form({"percent": _NUMBER, "take_profit": _NUMBER}),
    "trailing_stop": _form(_OFFSET_KEYS, {"activation": _form(_LEVEL_KEYS)}),
}


def _known(variant: Variant) -> dict[str, Schema]:
    """Returns the schemas of all fields that a webhook reads, under each of their names."""
    found: dict[str, Schema] = {}
    for field in FIELDS:
        if variant in field.variants and field.name != "orders":
            type_ = _NUMBER["type"] if field.kind in _NUMBERS else ["string", "number", "boolean"]
            schema = {**_EXITS.get(field.name, {"type": type_}), "description": field.meaning}
            found |= dict.fromkeys((field.name, *field.aliases), schema)
    return found


_PAPER = obj(
    {
        **_known(Variant.PAPER),
        "symbol": TEXT,
        "ticker": TEXT,
        "side": _SIDE,
        "action": _SIDE,
        "qty": _NUMBER,
        "contracts": _NUMBER,
        "account": TEXT,
    },
    price=_NUMBER,
)
_LEG = obj({"stop_price": _NUMBER, "price": _NUMBER}, qty_per=_NUMBER)
_GROUP_SHARED: Mapping[str, Schema] = {
    "group_name": TEXT,
    "exchange": TEXT,
    "market_type": TEXT,
    "currency": TEXT,
    "symbol": TEXT,
    "order_type": _TYPE,
    "side": _SIDE,
}
_GROUP = obj(
    {**_known(Variant.GROUP), **_PRICES, "qty_per": _NUMBER, "orders": listed(_LEG)}, **_GROUP_SHARED
)
_CANCEL = obj(
    {
        **dict.fromkeys(
            ("token", "alert_id", "timestamp", "exchange", "market_type", "symbol", "account"), TEXT
        )
    },
    group_name=TEXT,
    order_type={"enum": ["CANCEL_ALL_ORDER"]},
)
EITHER: Schema = {"anyOf": [_PAPER, _GROUP, _CANCEL]}
SETTINGS_SIZED = obj({**_known(Variant.PERSONAL), **_PRICES, "order_type": _TYPE}, symbol=TEXT, action=_SIDE)
XC = obj(
    {**_known(Variant.XC), "strategy_id": TEXT, "demo": TEXT, "price": _NUMBER},
    code=TEXT,
    command=_SIDE,
    exchange=TEXT,
    coinmarket=TEXT,
    amount=_NUMBER,
)
MANUAL = obj(
    {
        **_EXITS,
        **_PRICES,
        "account": TEXT,
        "account_id": {"type": ["integer", "string"]},
        "user_id": {"type": ["integer", "string"]},
        "quantity": _NUMBER,
        "percent": _NUMBER,
        "order_type": _TYPE,
        "market_type": TEXT,
    },
    symbol=TEXT,
    side=_SIDE,
)

paper = {"symbol": "AAPL", "side": "buy", "qty": 100, "price": 185.50}
legacy = {"symbol": "BTCUSDT", "action": "buy", "price": 50000}
personal = {"symbol": "ETHUSDT", "action": "buy", "price": 3000}
xc = {
    "code": f"xc_{USER_ID}_…",
    "strategy_id": "MyStrategy",
    "demo": "YES",
    "command": "sell",
    "exchange": "binance",
    "coinmarket": "BTCUSDT",
    "amount": 0.05,
}
manual = {
    "user_id": USER_ID,
    "account": "策略A",
    "symbol": "AAPL",
    "side": "buy",
    "quantity": 100,
    "price": 185.50,
}
_group = {
    "group_name": "my_strategy",
    "token": "your_webhook_token",
    "exchange": "BINANCE",
    "market_type": "FUTURES",
    "currency": "USDT",
    "symbol": "BTCUSDT",
}
_stops = [
    {"price": 105000, "stop_price": 104000, "qty_per": 10},
    {"price": 107000, "stop_price": 106000, "qty_per": 15},
]
examples: Mapping[str, Any] = {
    "tradingview": {"ticker": "AAPL", "action": "buy", "contracts": 100, "price": 185.50},
    "account": {**paper, "account": "策略A"},
    "group": {**_group, "order_type": "MARKET", "side": "buy", "qty_per": 10},
    "limit": {**_group, "order_type": "LIMIT", "side": "sell", "price": 105000, "qty_per": 50},
    "exits": {
        **_group,
        "order_type": "MARKET",
        "side": "long",
        "qty_per": 10,
        "stop_loss": "2%",
        "take_profits": [{"percent": 2, "share": 50}, {"distance": 3000, "share": 25}],
    },
    "batch": {**_group, "order_type": "STOP_LIMIT", "side": "sell", "orders": _stops},
    "cancel": {"group_name": "my_strategy", "token": "your_webhook_token", "order_type": "CANCEL_ALL_ORDER"},
}
