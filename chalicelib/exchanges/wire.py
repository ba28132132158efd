"""Conversion between the exchanges' text and this package's values. No floats on either side."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def decimal(value: Any) -> Decimal | None:
    """Returns a number of an exchange's reply. None if it is missing or empty.

    Raises:
        TypeError: For a float, which has already lost digits.
        decimal.InvalidOperation: For text that is not a number.
    """
    if value is None or value == "":
        return None
    if isinstance(value, float):
        raise TypeError("a float where an exact number belongs")
    return Decimal(value)


def amount(value: Any) -> Decimal:
    """Returns a number as `decimal` does, and zero if it is missing."""
    return decimal(value) or Decimal(0)


def positive(value: Any) -> Decimal | None:
    """Returns a number as `decimal` does, and None for zero: exchanges write `0` if there is no price."""
    return decimal(value) or None


def text(value: Decimal) -> str:
    """Returns a number in the exchanges' format: no exponent, no trailing zeros."""
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def rounded(quotient: Decimal) -> Decimal:
    """Returns a quotient rounded to twelve decimal places, without trailing zeros.

    Never a negative zero.
    """
    return round(quotient, 12).normalize() + 0


def moment(milliseconds: Any) -> datetime | None:
    """Returns the UTC time of milliseconds since 1970. None if missing or zero."""
    return (
        datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds and int(milliseconds) else None
    )


def flag(value: Any) -> bool:
    """Returns a boolean, which exchanges write as JSON boolean or as text."""
    return str(value).lower() in {"true", "1"}
