"""The size of an order: a quantity and its unit, read together. Pure."""

from decimal import Decimal
from typing import Any

from chalicelib.errors import Refused
from chalicelib.execution import sizing
from chalicelib.signals.values import LARGEST, Reader
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
"""Words whose unit is certain. `lots` is none: a lot has another size with every broker."""

_PERCENT = (Unit.BALANCE_PERCENT, Unit.POSITION_PERCENT)


def read(reader: Reader, default: Size | None = None) -> Size | None:
    """The size a body names by `quantity` and `quantity_type`, or by `qty_per`.

    Args:
        reader: The body.
        default: What holds where no sizing field was sent at all.

    Raises:
        Refused: `missing_field` for a unit without a quantity; `invalid_choice` for a unit that is not
            certain; `conflicting_fields` for two sizes, or a percentage in a unit that is none; as
            `Reader.number` does.
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
    """Raises Refused (`out_of_range`) if quantity times price is more than any order may be worth."""
    if size and size.unit is Unit.BASE and price is not None:
        sizing.check_value(size.amount, price)


def instructed(size: Size | None, limit: Decimal | None, stop_price: Decimal | None) -> dict[str, Any]:
    """The size as an instruction carries it: each unit in a field of its own.

    Args:
        size: None sets none of them.
        limit: The order's limit price, quote per base; None for an order without one.
        stop_price: Its trigger price.
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
