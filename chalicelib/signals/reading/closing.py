"""Reads closing signals, with a reader that uses only the fields that name the position. Pure.

A lost exit costs more than a sloppy field. Other fields of a closing signal are kept and never refuse it,
however broken they are.
"""

from decimal import Decimal
from typing import Any

from chalicelib import symbols
from chalicelib.errors import Refused
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import opening, sizes, terms
from chalicelib.signals.reading.field_definitions import squash
from chalicelib.signals.reading.fields import Fields
from chalicelib.signals.reading.values import Reader
from chalicelib.trading import Action, MarketType, Size, Symbol, Unit, Variant

DEFAULT_PAPER_SIZE = Size(amount=Decimal(100))
"""Base units, or shares: the size of a paper signal without `qty`, by the seed."""

FLAT = "flat"

_NAMING = frozenset(
    (
        "symbol",
        "market_type",
        "account",
        "account_id",
        "user_id",
        "group_name",
        "exchange",
        "demo",
        "position_side",
        "token",
        "code",
    )
)
"""The fields that name the position and its user. Two different values for one of them are a 400."""

_WORDS = dict.fromkeys(Variant, ("close", "exit", "stop")) | {Variant.PAPER: ("close",)}
_EXCHANGE_NAMED = (Variant.XC, Variant.GROUP)
_SETTINGS_SIZED = (Variant.LEGACY, Variant.PERSONAL)
_PERCENT = Decimal(100)


def is_closing(variant: Variant, fields: Fields) -> bool:
    """Returns whether a signal only closes: by its action, or because its order leads to `flat`."""
    return _by_word(variant, fields) or _to_flat(fields)


def read(variant: Variant, fields: Fields, account: str | None = None) -> Signal:
    """Reads a closing signal.

    Args:
        variant: The webhook that received it.
        fields: The body.
        account: The account's name if it is known otherwise. None reads it from the body.

    Raises:
        Refused: A field that names the position is missing or unreadable. `wrong_url` for a body that
            belongs to another webhook.
    """
    opening.check_url(fields, variant, ("group_name",))
    fields.check(_NAMING)
    reader = Reader(fields)
    reader.require(*_required(variant), "symbol")
    for name in ("account", "market_type", "position_side"):
        if reader.sent(name) and not reader.given(name) and account is None:
            raise Refused("empty_field", field=reader.shown(name))
    market_type = None if variant is Variant.PAPER else reader.choice("market_type", terms.MARKET_TYPES)
    exchange = terms.exchange(reader) if variant in _EXCHANGE_NAMED else None
    symbol = _symbol(reader, variant, market_type)
    if variant in _EXCHANGE_NAMED:
        symbols.check_exchange(symbol, exchange)
    demo = _demo(reader, variant)
    return Signal(
        variant=variant,
        **_order(reader, variant, fields),
        symbol=symbol,
        market_type=market_type,
        exchange=exchange,
        group_name=reader.text("group_name") if variant is Variant.GROUP else None,
        account=account or reader.text("account"),
        strategy_id=reader.optional(reader.text, "strategy_id"),
        position_side=reader.choice("position_side", terms.SIDES),
        demo=demo,
        price=reader.optional(reader.number, "price"),
        **terms.of_closing(reader),
        unknown=reader.unknown(),
    )


def _required(variant: Variant) -> tuple[str, ...]:
    match variant:
        case Variant.XC:
            return ("exchange",)
        case Variant.GROUP:
            return ("group_name", "exchange", "market_type")
        case _:
            return ()


def _symbol(reader: Reader, variant: Variant, market_type: MarketType | None) -> Symbol:
    """Returns the instrument. The body's currency decides only if the name alone is ambiguous."""
    named = reader.text("symbol") or ""
    if variant is not Variant.GROUP:
        return symbols.resolve(named, market_type, paper=variant is Variant.PAPER)
    currency = reader.optional(reader.text, "currency")
    try:
        return symbols.resolve(named, market_type)
    except Refused:
        return symbols.resolve(named, market_type, currency)


def _demo(reader: Reader, variant: Variant) -> bool | None:
    demo = reader.flag("demo")
    return demo is not False if variant is Variant.XC else demo  # only an explicit NO closes a live position


def _order(reader: Reader, variant: Variant, fields: Fields) -> dict[str, Any]:
    """Returns the action and the size to close."""
    action = reader.optional(lambda name: reader.choice(name, _actions(variant)), "side")
    if variant is Variant.PAPER and not _to_flat(fields):
        return _paper_close(reader)
    if variant is not Variant.PAPER and _by_word(variant, fields):
        return {"action": Action.STOP if _word(fields) == "stop" else Action.CLOSE}
    return {"action": Action.CLOSE, "ordered": action, "size": _size(reader, variant)}


def _paper_close(reader: Reader) -> dict[str, Any]:
    """Returns a sale of `qty`, as the paper seed's `close`. An unreadable `qty` sells the whole holding."""
    size = _readable(reader, DEFAULT_PAPER_SIZE)
    return {"action": Action.SELL, "size": size} if size else {"action": Action.CLOSE}


def _size(reader: Reader, variant: Variant) -> Size | None:
    """Returns the maximum size of an order to `flat`.

    None if the size is unreadable, which closes the whole position.
    """
    if variant in _SETTINGS_SIZED:
        return None
    if variant is Variant.GROUP and reader.sent("qty_per"):
        percent = reader.optional(lambda name: reader.number(name, _PERCENT), "qty_per")
        return Size(amount=percent, unit=Unit.BALANCE_PERCENT) if percent else None
    return _readable(reader, None)


def _readable(reader: Reader, default: Size | None) -> Size | None:
    """Returns the size. The default if none was sent, None if the size is unreadable."""
    if any(reader.sent(name) and not reader.given(name) for name in ("quantity", "quantity_type", "qty_per")):
        return None
    return reader.optional(lambda _: sizes.read(reader, default), "quantity")


def _actions(variant: Variant) -> dict[str, Action]:
    return terms.PAPER_ACTIONS if variant is Variant.PAPER else terms.ACTIONS


def _word(fields: Fields) -> str:
    value = fields.values.get("side")
    return squash(value.strip()) if isinstance(value, str) else ""


def _by_word(variant: Variant, fields: Fields) -> bool:
    return "side" not in fields.problems and _word(fields) in _WORDS[variant]


def _to_flat(fields: Fields) -> bool:
    value = fields.values.get("market_position")
    return (
        isinstance(value, str) and squash(value.strip()) == FLAT and "market_position" not in fields.problems
    )
