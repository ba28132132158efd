"""Refuses opening signals with keys that would change the trade and that the webhook would ignore. Pure.

A default applies only if the sender sent nothing. An empty field is refused if the default would change the
trade.
"""

from collections.abc import Iterator
from typing import Any

from chalicelib.errors import Refused
from chalicelib.signals.reading import trade_words
from chalicelib.signals.reading.aliases import CANONICAL
from chalicelib.signals.reading.field_definitions import BY_NAME, TYPE_NAMES, Kind, reads, squash
from chalicelib.signals.reading.fields import Fields
from chalicelib.trading import OrderType, Variant

GROUP_URL, XC_URL = "/api/webhook", "/xc"

_SETTINGS_SIZED = (Variant.LEGACY, Variant.PERSONAL)
_NOT_BY_GROUP = ("qty_per", "orders", "group_name")
_MAY_BE_EMPTY = frozenset(
    (
        "price",
        "timestamp",
        "timenow",
        "max_lag",
        "max_age",
        "idempotency_key",
        "strategy_id",
        "chat_id",
        "token",
        "code",
    )
)
"""Fields whose default leaves the trade unchanged. An empty required field counts as missing."""

_TYPE_WORDS = (
    "lim",
    "lmt",
    "market",
    "mkt",
    "stop",
    "trail",
    "ioc",
    "fok",
    "gtc",
    "oco",
    "bracket",
    "iceberg",
    "twap",
    "post",
)

_MARKETS = frozenset(("spot", "future", "futures", "perp", "perpetual", "swap", "linear", "margin"))
"""Values that make an unknown `market` a market type. Often it is the exchange or a label."""


def check_url(fields: Fields, variant: Variant, names: tuple[str, ...] = _NOT_BY_GROUP) -> None:
    """Raises Refused (`wrong_url`) if a body belongs to another webhook.

    Args:
        fields: The body.
        variant: The webhook that received it.
        names: The fields that identify a group signal.
    """
    if variant in (*_SETTINGS_SIZED, Variant.XC):
        for name in names:
            if name in fields:
                raise Refused("wrong_url", field=fields.shown(name), url=GROUP_URL)
    if variant in (*_SETTINGS_SIZED, Variant.PAPER) and fields.code and "quantity" in fields:
        raise Refused("wrong_url", field="code", url=XC_URL)


def check_fields(fields: Fields, variant: Variant, besides: tuple[str, ...] = ()) -> None:
    """Raises for an opening body with a field that would change the trade and would be ignored.

    Args:
        fields: The body.
        variant: The webhook that received it.
        besides: Fields whose empty value is checked elsewhere.

    Raises:
        Refused: `duplicate_field`, `conflicting_fields`; `empty_field`; `unknown_field`, with the nearest
            known key as `nearest`; `broken_pair` for a backslash in a key of a connection string;
            `invalid_choice` for a `type` that is no order type.
    """
    fields.check()
    for position, key in fields.odd_keys:
        if "\\" in key and fields.in_pairs:
            raise Refused("broken_pair", position=position, hint="hint_backslash")
        raise Refused("unknown_field", field=fields.shown(key), hint="hint_odd_key")
    for name, value in fields.values.items():
        if name in besides:
            continue
        if name in BY_NAME:
            _check_known(fields, variant, name, value)
        elif squash(name) in TYPE_NAMES:
            _check_type(fields, variant, name, value)
        else:
            check_unknown(fields, variant, name)
            if squash(name) == "market" and isinstance(value, str) and squash(value) in _MARKETS:
                raise _unknown(fields.shown(name), "market_type")
            for inner in _inner_keys(value):
                _check_inner(fields, variant, name, inner)


def check_unknown(fields: Fields, variant: Variant, name: str, prefix: str = "") -> None:
    """Raises Refused (`unknown_field`) if an unknown key looks as if it changes the trade."""
    if trade_words.kind_of(name):
        refused = _unknown(prefix + fields.shown(name), trade_words.nearest(name, variant))
        if variant in _SETTINGS_SIZED and trade_words.kind_of(name) is Kind.SIZE:
            refused.values["hint"] = "hint_settings_sized"
        raise refused


def _check_known(fields: Fields, variant: Variant, name: str, value: Any) -> None:
    read = reads(variant, name)
    if (
        read
        and value is None
        and name not in _MAY_BE_EMPTY
        and not (name == "demo" and variant is Variant.XC)
    ):
        raise Refused("empty_field", field=fields.shown(name))
    if not read and BY_NAME[name].kind is Kind.ACCOUNT and not trade_words.is_chart(name):
        raise _unknown(fields.shown(name), "account")


def _check_type(fields: Fields, variant: Variant, name: str, value: Any) -> None:
    """Checks `type`, which is often a label. Refused if it may be an order type that no field reads."""
    if variant is Variant.PAPER:
        raise Refused("invalid_choice", field=fields.shown(name), allowed=OrderType.MARKET.value)
    text = squash(value) if isinstance(value, str) else None
    if text is None or squash(name) != "type" or any(word in text for word in _TYPE_WORDS):
        raise Refused("invalid_choice", field=fields.shown(name), allowed=", ".join(OrderType))


def _check_inner(fields: Fields, variant: Variant, outer: str, key: str) -> None:
    """Checks a key inside an object.

    A key that would change the trade at the top level must not be ignored one level below.
    """
    known = CANONICAL.get(squash(key))
    if known:
        changes = trade_words.changes_trade(known) and reads(variant, known)
    else:
        changes = trade_words.kind_of(key) is not None and squash(key) not in TYPE_NAMES
    if changes:
        raise _unknown(f"{fields.shown(outer)}.{key}"[:64], known or trade_words.nearest(key, variant))


def _inner_keys(value: Any) -> Iterator[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield from value
    for each in inner:
        yield from _inner_keys(each)


def _unknown(field: str, nearest: str) -> Refused:
    return Refused("unknown_field", field=field, nearest=nearest, hint="hint_nearest")
