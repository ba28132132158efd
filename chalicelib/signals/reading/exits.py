"""Reads the exits of an opening signal: stop-loss, take-profits, break-even and trailing stop. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from chalicelib.errors import Refused
from chalicelib.signals.reading.fields import Fields
from chalicelib.signals.reading.values import Reader
from chalicelib.trading import BreakEven, ExitLevel, TakeProfit, TrailingStop

MOST_TAKE_PROFITS = 6
_FURTHEST_STOP = Decimal(80)
_FURTHEST_TAKE_PROFIT = Decimal(1000)
_HUNDRED = Decimal(100)
_FORMS = ("price", "percent", "distance")
_OFFSETS = ("percent", "distance")


def read(reader: Reader) -> dict[str, Any]:
    """Returns the exits as fields of a signal.

    Raises:
        Refused: `invalid_exit`, `invalid_take_profits`, `too_many_take_profits`, `shares_above_whole`,
            `exit_needs`, `not_beside`, and the refusals of any field.
    """
    found = {
        "take_profit": _level(reader, "take_profit", _FURTHEST_TAKE_PROFIT),
        "stop_loss": _level(reader, "stop_loss", _FURTHEST_STOP),
        "take_profits": _take_profits(reader),
        "break_even_after": _break_even(reader),
        "trailing_stop": _trailing_stop(reader),
    }
    if found["take_profits"] and found["take_profit"]:
        raise Refused("not_beside", field=reader.shown("take_profits"), other=reader.shown("take_profit"))
    _check_together(reader, found)
    return found


def _check_together(reader: Reader, found: Mapping[str, Any]) -> None:
    """Raises Refused if one exit needs another that is missing."""
    trailing, break_even = found["trailing_stop"], found["break_even_after"]
    if trailing and trailing.activation and not found["stop_loss"]:
        field = f"{reader.shown('trailing_stop')}.activation"
        raise Refused("exit_needs", field=field, needed="stop_loss")
    if not break_even:
        return
    field = reader.shown("break_even_after")
    if not (found["stop_loss"] or trailing):
        raise Refused("exit_needs", field=field, needed="stop_loss")
    count = len(found["take_profits"]) or int(found["take_profit"] is not None)
    if (break_even.take_profits or 0) > count:
        raise Refused("exit_needs", field=field, needed=f"take_profits[{break_even.take_profits - 1}]")


def _level(reader: Reader, name: str, furthest: Decimal) -> ExitLevel | None:
    value = reader.raw(name)
    if isinstance(value, dict):
        return ExitLevel(**_one_form(_inner(reader, name, value, _FORMS), reader.shown(name), furthest))
    if value is not None and not isinstance(value, (str, Decimal)):
        raise _invalid(reader.shown(name), _FORMS)
    percent = reader.percentage(name, furthest)
    return (
        ExitLevel(percent=percent)
        if percent is not None
        else ExitLevel(price=price)
        if (price := reader.number(name)) is not None
        else None
    )


def _take_profits(reader: Reader) -> tuple[TakeProfit, ...]:
    name, value = "take_profits", reader.raw("take_profits")
    if value is None:
        return ()
    shown = reader.shown(name)
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        raise Refused("invalid_take_profits", field=shown)
    if len(value) > MOST_TAKE_PROFITS:
        raise Refused("too_many_take_profits", field=shown, limit=MOST_TAKE_PROFITS)
    found = []
    for number, each in enumerate(value):
        inner = _inner(reader, name, each, (*_FORMS, "share"), f"[{number}]")
        inner.require("share")
        share = inner.percentage("share")
        share = share if share is not None else inner.number("share", _HUNDRED)
        form = _one_form(inner, f"{shown}[{number}]", _FURTHEST_TAKE_PROFIT)
        found.append(TakeProfit(**form, share=share))
    total = sum((each.share for each in found), Decimal(0))
    if total > _HUNDRED:
        raise Refused("shares_above_whole", field=shown, total=f"{total:f}")
    return tuple(found)


def _break_even(reader: Reader) -> BreakEven | None:
    """Returns when the stop moves. A whole number counts take-profits, a percentage is a move."""
    name, value = "break_even_after", reader.raw("break_even_after")
    if value is None:
        return None
    if isinstance(value, dict):
        names = ("percent", "take_profit")
        inner = _inner(reader, name, value, names)
        if inner.sent("percent") is inner.sent("take_profit"):
            raise _invalid(reader.shown(name), names)
        if inner.sent("percent"):
            return BreakEven(percent=_required(inner, "percent", _FURTHEST_TAKE_PROFIT))
        inner.require("take_profit")
        return BreakEven(take_profits=inner.whole("take_profit", MOST_TAKE_PROFITS))
    if not isinstance(value, (str, Decimal)):
        raise _invalid(reader.shown(name), ("percent", "take_profit"))
    percent = reader.percentage(name, _FURTHEST_TAKE_PROFIT)
    if percent is not None:
        return BreakEven(percent=percent)
    return BreakEven(take_profits=reader.whole(name, MOST_TAKE_PROFITS))


def _trailing_stop(reader: Reader) -> TrailingStop | None:
    name, value = "trailing_stop", reader.raw("trailing_stop")
    if value is None:
        return None
    shown = reader.shown(name)
    if isinstance(value, str) and (percent := reader.percentage(name, _FURTHEST_STOP)) is not None:
        return TrailingStop(percent=percent)
    if not isinstance(value, dict):  # a bare number could be a percentage, a distance or a price
        raise _invalid(shown, _OFFSETS)
    inner = _inner(reader, name, value, (*_OFFSETS, "activation"))
    activation = _level(inner, "activation", _FURTHEST_TAKE_PROFIT)
    if inner.sent("activation") and activation is None:
        raise Refused("empty_field", field=inner.shown("activation"))
    return TrailingStop(**_one_form(inner, shown, _FURTHEST_STOP, _OFFSETS), activation=activation)


def _inner(
    reader: Reader, name: str, value: dict[str, Any], names: tuple[str, ...], index: str = ""
) -> Reader:
    """Returns a reader of a nested object. Raises Refused (`unknown_field`) for a key beyond `names`."""
    fields = Fields(value.items(), names={each.replace("_", ""): each for each in names})
    prefix = f"{reader.shown(name)}{index}."
    fields.check()
    for key in fields.values:
        if key not in names:
            raise Refused(
                "unknown_field", field=f"{prefix}{key}"[:64], nearest=", ".join(names), hint="hint_nearest"
            )
    return Reader(fields, prefix)


def _one_form(
    inner: Reader, shown: str, furthest: Decimal, forms: tuple[str, ...] = _FORMS
) -> dict[str, Decimal]:
    """Returns the one form that an object has."""
    sent = [form for form in forms if inner.sent(form)]
    if len(sent) != 1:
        raise _invalid(shown, forms)
    [form] = sent
    return {form: _required(inner, form, furthest)}


def _required(inner: Reader, form: str, furthest: Decimal) -> Decimal:
    inner.require(form)
    percent = inner.percentage(form, furthest) if form == "percent" else None
    number = inner.number(form, furthest) if form == "percent" and percent is None else None
    found = percent or number or inner.number(form)
    assert found is not None
    return found


def _invalid(shown: str, forms: tuple[str, ...]) -> Refused:
    return Refused("invalid_exit", field=shown, allowed=", ".join(forms))
