"""Reads typed values from `Fields`: text, choices, numbers, times.

Each refusal names the field and a valid form.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from chalicelib.errors import Refused
from chalicelib.signals.reading import masking
from chalicelib.signals.reading.aliases import ALIASES, squash
from chalicelib.signals.reading.fields import MAX_TEXT, PLACEHOLDER, Fields

MAX_DIGITS = 30
"""Significant digits. DynamoDB keeps 38, and computing with the number needs some of them."""

SMALLEST, LARGEST = Decimal("1e-18"), Decimal("1e18")
"""Bounds of every price and quantity. Values beyond are mistakes, or would be rounded by the store."""

FLAGS: Mapping[str, bool] = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_EPOCH_SECONDS = (
    Decimal(946_684_800),
    Decimal(4_102_444_800),
)  # the years 2000 to 2100, distinct from milliseconds
_STORED_DIGITS, _STORED_MAGNITUDE = 38, 100  # DynamoDB: 38 digits, 1e-130 to 9.9e125
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")


class Reader:
    """Reads typed values and remembers the names that were read. The rest is kept as unknown.

    Args:
        fields: The body.
        prefix: Prefix of a name in messages, `orders[0].`.
    """

    def __init__(self, fields: Fields, prefix: str = "") -> None:
        self._fields = fields
        self._prefix = prefix
        self._used: set[str] = set()

    def given(self, name: str) -> bool:
        """Returns whether the field was sent with a value."""
        return self._fields.values.get(name) is not None

    def sent(self, name: str) -> bool:
        """Returns whether the field was sent, even empty. A default applies only if it was not."""
        return name in self._fields.values

    def spelled(self, name: str) -> bool:
        """Returns whether the field was sent under this name, in any spelling but not by an alias."""
        return self._fields.spelled(name)

    @property
    def names_read(self) -> frozenset[str]:
        """The names that were read."""
        return frozenset(self._used)

    def names(self) -> list[str]:
        """Returns everything that was sent, by canonical name. Unknown keys as spelled."""
        return list(self._fields.values)

    def shown(self, name: str) -> str:
        """Returns the field's name for a message, as the sender spelled it."""
        return f"{self._prefix}{self._fields.shown(name)}"

    def require(self, *names: str) -> None:
        """Raises Refused (`missing_field`) with all names that are missing."""
        missing = [f"{self._prefix}{name}" for name in names if not self.given(name)]
        if missing:
            raise Refused("missing_field", field=", ".join(missing))

    def needed(self, name: str, choices: Mapping[str, _T]) -> _T:
        """Returns one of the named values of a required field.

        Raises:
            Refused: `missing_field`, `invalid_choice`.
        """
        self.require(name)
        value = self.choice(name, choices)
        assert value is not None
        return value

    def raw(self, name: str) -> Any:
        """Returns the value as sent. None if it was not sent. Raises Refused for a placeholder."""
        self._used.add(name)
        value = self._fields.values.get(name)
        if isinstance(value, str) and (found := PLACEHOLDER.search(value)):
            raise Refused("placeholder", field=self.shown(name), value=found.group())
        return value

    def text(self, name: str) -> str | None:
        """Returns a text, stripped of blanks. None if missing or empty. A number becomes its digits.

        Raises:
            Refused: `invalid_text`, `too_long`, `placeholder`.
        """
        value = self.raw(name)
        if isinstance(value, Decimal) and value.is_finite():
            value = str(value)
        if value is None:
            return None
        if not isinstance(value, str):
            raise Refused("invalid_text", field=self.shown(name))
        value = value.strip()
        if len(value) > MAX_TEXT:
            raise Refused("too_long", field=self.shown(name), limit=MAX_TEXT)
        return value or None

    def choice(self, name: str, choices: Mapping[str, _T]) -> _T | None:
        """Returns one of the named values, ignoring case and separators. None if missing or empty.

        Args:
            name: The field.
            choices: The accepted words with their meanings.

        Raises:
            Refused: `invalid_choice` with the accepted words as `allowed`.
        """
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, bool):
            value = "true" if value else "false"
        wanted = squash(str(value)) if isinstance(value, (str, Decimal)) else None
        for word, meaning in choices.items():
            if squash(word) == wanted:
                return meaning
        raise Refused("invalid_choice", field=self.shown(name), allowed=", ".join(choices))

    def flag(self, name: str) -> bool | None:
        """Returns a yes or no. None if missing or empty. Raises as `choice` does."""
        return self.choice(name, FLAGS)

    def number(self, name: str, largest: Decimal = LARGEST, *, zero: bool = False) -> Decimal | None:
        """Returns a positive number with every digit that was sent. None if missing or empty.

        Args:
            name: The field.
            largest: The upper bound, inclusive.
            zero: Permits zero.

        Raises:
            Refused: `invalid_number`, `must_be_positive`, `too_many_digits`, `out_of_range`.
        """
        return self._number(name, self.raw(name), largest, zero=zero)

    def percentage(self, name: str, largest: Decimal = Decimal(100)) -> Decimal | None:
        """Returns the number of a text such as `5%`. None if the value has no percent sign.

        Raises:
            Refused: As `number` does.
        """
        value = self.raw(name)
        if not isinstance(value, str) or not value.rstrip().endswith("%"):
            return None
        return self._number(name, value.rstrip().removesuffix("%"), largest)

    def whole(self, name: str, largest: int) -> int | None:
        """Returns a whole number from 1 to `largest`. None if missing or empty.

        Raises:
            Refused: As `number` does. `invalid_number` for a number with a fraction.
        """
        value = self.number(name, Decimal(largest))
        if value is not None and value != value.to_integral_value():
            raise Refused("invalid_number", field=self.shown(name))
        return None if value is None else int(value)

    def _number(self, name: str, value: Any, largest: Decimal, *, zero: bool = False) -> Decimal | None:
        if value is None:
            return None
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = Decimal(value.strip())
        if not isinstance(value, Decimal) or not value.is_finite():
            raise Refused("invalid_number", field=self.shown(name))
        if zero and value == 0:
            return Decimal(0)
        if value <= 0:
            raise Refused("must_be_positive", field=self.shown(name))
        if not SMALLEST <= value <= largest:
            raise Refused(
                "out_of_range", field=self.shown(name), minimum=_plain(SMALLEST), maximum=_plain(largest)
            )
        number = _shortest(value)
        if len(number.as_tuple().digits) > MAX_DIGITS:
            raise Refused("too_many_digits", field=self.shown(name), limit=MAX_DIGITS)
        return number

    def time(self, name: str) -> datetime | None:
        """Returns a time in UTC, from ISO 8601 or epoch seconds or milliseconds. None if missing or empty.

        ISO 8601 without an offset is read as UTC.

        Raises:
            Refused: `invalid_time`.
        """
        value = self.raw(name)
        if value is None:
            return None
        try:
            return _epoch(Decimal(value)) if _numeric(value) else _iso(value)
        except (ValueError, ArithmeticError):
            raise Refused("invalid_time", field=self.shown(name)) from None

    def known_beyond(self, names: frozenset[str]) -> list[str]:
        """Returns the known fields that were sent with a value and are not in `names`."""
        return [
            name for name in self._fields.values if name in ALIASES and name not in names and self.given(name)
        ]

    def optional(self, read: Callable[[str], _T | None], name: str) -> _T | None:
        """Returns the result of a method of this reader for a field. None if the method refuses.

        Only for fields that must never refuse a closing signal.
        """
        try:
            return read(name)
        except Refused:
            return None

    def unknown(self) -> dict[str, Any]:
        """Returns everything that was not read, as sent, with credentials masked."""
        rest = {
            name: _storable_value(value)
            for name, value in self._fields.values.items()
            if name not in self._used and value is not None
        }
        if not rest:
            return rest
        masked: dict[str, Any] = masking.mask(rest, self._fields.secrets)
        return masked


def _shortest(value: Decimal) -> Decimal:
    """Returns the same number without trailing zeros and exponent.

    `normalize` would round to the context's precision.
    """
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if exponent > 0:
        return Decimal(int(value))
    end = len(digits)
    while exponent < 0 and end > 1 and digits[end - 1] == 0:
        end -= 1
        exponent += 1
    return value if end == len(digits) else Decimal((0, digits[:end], exponent))


def _plain(bound: Decimal) -> str:
    return f"{bound:f}" if Decimal("0.01") <= bound <= Decimal(1_000_000) else f"{bound.normalize():e}"


def _numeric(value: Any) -> bool:
    return isinstance(value, Decimal) or (isinstance(value, str) and bool(_NUMBER.fullmatch(value.strip())))


def _epoch(value: Decimal) -> datetime:
    low, high = _EPOCH_SECONDS
    seconds = value if low <= value < high else value / 1000
    if not low <= seconds < high:
        raise ValueError
    return _EPOCH + timedelta(microseconds=int(seconds * 1_000_000))


def _iso(value: Any) -> datetime:
    text = value.strip() if isinstance(value, str) else ""
    if ":" not in text and "T" not in text.upper():
        raise ValueError  # a date without time does not give a signal's age
    parsed = datetime.fromisoformat(text)
    moment = parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    low, high = _EPOCH_SECONDS
    if not low <= (moment - _EPOCH) // timedelta(seconds=1) < high:
        raise ValueError
    return moment


def _storable_value(value: Any) -> Any:
    """Returns a value that the store can hold. A number beyond DynamoDB's range becomes its text."""
    if isinstance(value, Decimal):
        fits = (
            value.is_finite()
            and len(value.as_tuple().digits) <= _STORED_DIGITS
            and abs(value.adjusted()) <= _STORED_MAGNITUDE
        )
        return value if fits else str(value)
    if isinstance(value, dict):
        return {key: _storable_value(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_storable_value(inner) for inner in value]
    return value
