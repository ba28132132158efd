"""Between the text exchanges write and the values this package counts with. No float on either side."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def decimal(value: Any) -> Decimal | None:
    """A number of an exchange's reply; None for one that is missing or empty.

    Raises:
        TypeError: For a float, whose digits have been lost already.
        decimal.InvalidOperation: For text that is not a number.
    """
    if value is None or value == "":
        return None
    if isinstance(value, float):
        raise TypeError("a float where an exact number belongs")
    return Decimal(value)


def amount(value: Any) -> Decimal:
    """Like `decimal`, with zero for what is missing."""
    return decimal(value) or Decimal(0)


def positive(value: Any) -> Decimal | None:
    """Like `decimal`, with None for zero: exchanges write `0` where there is no price."""
    return decimal(value) or None


def text(value: Decimal) -> str:
    """A number as an exchange reads it: no exponent, no trailing zeros."""
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def rounded(quotient: Decimal) -> Decimal:
    """A quotient, which may have no end, to twelve places and without trailing zeros.

    Never a negative zero.
    """
    return round(quotient, 12).normalize() + 0


def moment(milliseconds: Any) -> datetime | None:
    """A time in milliseconds since 1970, UTC; None for a missing or zero one."""
    return (
        datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds and int(milliseconds) else None
    )


def flag(value: Any) -> bool:
    """A truth value, which exchanges write as JSON booleans and as text."""
    return str(value).lower() in {"true", "1"}
