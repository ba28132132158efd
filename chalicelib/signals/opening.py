"""What an opening signal may not carry: keys that would change the trade and that its webhook would ignore.

Pure.

A default applies only where the sender said nothing, so an empty field is refused where its default would
change the trade.
"""

from collections.abc import Iterator
from typing import Any

from chalicelib.errors import Refused
from chalicelib.signals import trade_words
from chalicelib.signals.aliases import CANONICAL
from chalicelib.signals.field_definitions import BY_NAME, TYPE_NAMES, Kind, reads, squash
from chalicelib.signals.fields import Fields
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
"""Read fields whose default changes nothing about the trade. An empty required field is a missing one."""

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
"""Values that make an unknown `market` a market type; it is often the exchange or a label."""


def check_url(fields: Fields, variant: Variant, names: tuple[str, ...] = _NOT_BY_GROUP) -> None:
    """Raises Refused (`wrong_url`) if a body belongs to another webhook.

    Args:
        fields: The body.
        variant: The webhook it came in on.
        names: The fields of a group signal that tell.
    """
    if variant in (*_SETTINGS_SIZED, Variant.XC):
        for name in names:
            if name in fields:
                raise Refused("wrong_url", field=fields.shown(name), url=GROUP_URL)
    if variant in (*_SETTINGS_SIZED, Variant.PAPER) and fields.code and "quantity" in fields:
        raise Refused("wrong_url", field="code", url=XC_URL)


def check_fields(fields: Fields, variant: Variant, besides: tuple[str, ...] = ()) -> None:
    """Refuses a body that opens and carries what would change the trade unread.

    Args:
        fields: The body.
        variant: The webhook it came in on.
        besides: Read fields with a check of their own for an empty value.

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
    """Raises Refused (`unknown_field`) if a key nobody knows reads like one that would change the trade."""
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
    """`type` is often a label. It is refused where it could be an order type that nobody reads."""
    if variant is Variant.PAPER:
        raise Refused("invalid_choice", field=fields.shown(name), allowed=OrderType.MARKET.value)
    text = squash(value) if isinstance(value, str) else None
    if text is None or squash(name) != "type" or any(word in text for word in _TYPE_WORDS):
        raise Refused("invalid_choice", field=fields.shown(name), allowed=", ".join(OrderType))


def _check_inner(fields: Fields, variant: Variant, outer: str, key: str) -> None:
    """A key inside an object.

    What would change the trade at the top must not be passed over one level down.
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
