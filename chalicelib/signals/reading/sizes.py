"""Reads the size of an order: a quantity with its unit. Pure."""

from decimal import Decimal
from typing import Any

from chalicelib.errors import Refused
from chalicelib.execution import sizing
from chalicelib.signals.reading.values import LARGEST, Reader
from chalicelib.trading import Leg, Size, Unit

HUNDRED = Decimal(100)

UNITS = {
    **dict.fromkeys(
        ("base", "units", "coins", "contracts", "shares", "fixed", "fixed_quantity", "absolute"), Unit.BASE
    ),
    **dict.fromkeys(("quote", "usd", "usdt", "cash", "dollar_amount", "notional", "cost"), Unit.QUOTE),
    **dict.fromkeys(("percent", "percent_of_equity", "percent_of_balance"), Unit.BALANCE_PERCENT),
    "percent_of_position": Unit.POSITION_PERCENT,
}
"""Words with an unambiguous unit. `lots` is excluded: the size of a lot depends on the broker."""

_PERCENT = (Unit.BALANCE_PERCENT, Unit.POSITION_PERCENT)


def read(reader: Reader, default: Size | None = None) -> Size | None:
    """Returns the size in a body, from `quantity` and `quantity_type` or from `qty_per`.

    Args:
        reader: The body.
        default: The size if the body has no sizing field.

    Raises:
        Refused: `missing_field` for a unit without a quantity; `invalid_choice` for an ambiguous unit;
            `conflicting_fields` for two sizes, or for a percentage with another unit; as `Reader.number`
            raises.
    """
    unit = reader.choice("quantity_type", UNITS)
    if reader.given("qty_per"):
        return _of_percent(reader, unit)
    if unit:
        reader.require("quantity")
    if not reader.given("quantity"):
        return default
    percentage = reader.percentage("quantity")
    if percentage is not None:
        if unit not in (None, *_PERCENT):
            raise Refused(
                "conflicting_fields", field=reader.shown("quantity"), other=reader.shown("quantity_type")
            )
        return Size(amount=percentage, unit=unit or Unit.BALANCE_PERCENT)
    amount = reader.number("quantity", HUNDRED if unit in _PERCENT else LARGEST)
    return None if amount is None else Size(amount=amount, unit=unit or Unit.BASE)


def _of_percent(reader: Reader, unit: Unit | None) -> Size | None:
    if reader.given("quantity"):
        raise Refused("conflicting_fields", field=reader.shown("quantity"), other=reader.shown("qty_per"))
    if unit not in (None, *_PERCENT):
        raise Refused(
            "conflicting_fields", field=reader.shown("qty_per"), other=reader.shown("quantity_type")
        )
    amount = reader.number("qty_per", HUNDRED)
    return None if amount is None else Size(amount=amount, unit=unit or Unit.BALANCE_PERCENT)


def check_value(size: Size | None, price: Decimal | None) -> None:
    """Raises Refused (`out_of_range`) if quantity times price exceeds the largest order value."""
    if size and size.unit is Unit.BASE and price is not None:
        sizing.check_value(size.amount, price)


def instructed(size: Size | None, limit: Decimal | None, stop_price: Decimal | None) -> dict[str, Any]:
    """Returns the size fields of an instruction, one field per unit.

    Args:
        size: None sets no field.
        limit: The order's limit price, quote per base. None for an order without limit.
        stop_price: The order's trigger price, quote per base. None for an order without trigger.
    """
    if size is None:
        return {}
    match size.unit:
        case Unit.BASE:
            return {"quantity": size.amount}
        case Unit.QUOTE:
            return {"quote_amount": size.amount}
        case Unit.BALANCE_PERCENT:
            return {"legs": (Leg(percent=size.amount, price=limit, stop_price=stop_price),)}
        case Unit.POSITION_PERCENT:
            return {"position_percent": size.amount}
