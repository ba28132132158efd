"""Input of the admin API: JSON bodies and query values, validated by a model.

Every refusal names the field.
"""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from chalicelib import request_limits, strict_json
from chalicelib.errors import Refused, TooLarge
from chalicelib.http import Request
from chalicelib.openapi.schemas import request as request_schema
from chalicelib.unknown_fields import unknown_field

_SHOWN_NAME = 64
_MILLISECONDS = 10**11  # as seconds this is the year 5138
_BREAKING = ("Cc", "Cs", "Zl", "Zp")
_INVISIBLE = ("Cf", "Zs")
# Embeddings, overrides and isolates (Unicode Standard Annex #9, table 4), and characters of zero width.
_DISGUISING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u00ad\u200b\u2060\ufeff")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
# The last four join letters or set the direction of their neighbours, as Arabic and emojis require
_LAYOUT = "\n\r\t\u200c\u200d\u200e\u200f"
_FIRST_YEAR, _LAST_YEAR = 2000, 2100


class Input(BaseModel):
    """The base of every body.

    An unknown key is an error: otherwise a misspelled setting would look effective.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, hide_input_in_errors=True
    )


def _lower_case(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _no_flag(value: Any) -> Any:
    """Refuses `true` and `false`, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004 - pydantic turns only this into a field's error
    return value


def _plain_number(value: Any) -> Any:
    """Permits a number, or a text in JSON's number format. Refuses `1_0` and ` 5 `, which Python permits."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise PydanticCustomError("decimal_parsing", "not a number")
    return _no_flag(value)


def _readable(text: str) -> str:
    """Permits several lines. Refuses other control characters, marks that reverse the text included."""
    if any(not character.isprintable() and character not in _LAYOUT for character in text):
        raise ValueError("control characters")
    return text


def _printable(text: str) -> str:
    """Refuses characters that break or disguise a line, and a line without a visible character.

    Format characters that scripts need are permitted: the joiners of Persian, Indic scripts and emoji, and
    the marks of Arabic and Hebrew.
    """
    kinds = [unicodedata.category(character) for character in text]
    if any(kind in _BREAKING for kind in kinds) or any(character in _DISGUISING for character in text):
        raise ValueError("control characters")
    if text and all(kind in _INVISIBLE for kind in kinds):
        raise ValueError("no visible character")
    return text


def _in_calendar(moment: datetime) -> datetime:
    """Returns a time in UTC, from a range in which adding years or an offset cannot overflow."""
    if not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        raise ValueError("outside the calendar")
    return moment.astimezone(UTC)


Caseless = BeforeValidator(_lower_case)
"""For enumerated values. Case does not matter."""
Whole = Annotated[int, BeforeValidator(_plain_number)]
Money = Annotated[
    Decimal, BeforeValidator(_plain_number), Field(ge=0, le=10**15, max_digits=30, decimal_places=12)
]
OneLine = AfterValidator(_printable)
ShortText = Annotated[str, Field(min_length=1, max_length=64), OneLine]
"""A name or another short text: one line without control characters."""
Name = Annotated[ShortText, AfterValidator(lambda text: unicodedata.normalize("NFKC", text))]
"""A person's name. Variants of the same characters, such as full-width letters, are equal."""
Readable = AfterValidator(_readable)
Note = Annotated[str, Field(max_length=500), Readable]
UserId = Annotated[int, BeforeValidator(_plain_number), Field(ge=1, le=2**53 - 1)]
"""Limited to integers that every JSON reader keeps exactly."""
Version = Annotated[int, BeforeValidator(_plain_number), Field(ge=1, le=10**12)]

Time = Annotated[AwareDatetime, AfterValidator(_in_calendar)]
"""A time with an offset, from 2000 to 2100, in UTC."""

Model = TypeVar("Model", bound=BaseModel)


def body(request: Request, model: type[Model], depth: int = strict_json.MAX_DEPTH) -> Model:
    """Returns the request's JSON body as a model.

    Raises:
        Refused: The body is no JSON object, or a field is missing, unknown or wrong. The message names the
            field.
        TooLarge: The body has more than `request_limits.API_BYTES` bytes.
    """
    return validate(json_object(request, depth), model)


def validate(values: Any, model: type[Model]) -> Model:
    """Returns values as a model. Raises Refused as `body` does."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "extra_forbidden":
            raise unknown_field(_field_path(first["loc"]), _names(model)) from None
        raise _refusal(first["type"], _field_path(first["loc"]), first.get("ctx", {})) from None


def set_fields(model: BaseModel, *without: str) -> dict[str, Any]:
    """Returns the fields that a body sets, by name. An explicit null counts."""
    return {name: getattr(model, name) for name in model.model_fields_set if name not in without}


def flag(request: Request, name: str) -> bool | None:
    """Returns `?name=true` or `false`. None if absent. Raises Refused for any other value."""
    text = request.query.get(name)
    if text is None:
        return None
    if text.lower() not in ("true", "false", "1", "0"):
        raise Refused("invalid_choice", field=name, allowed="true, false")
    return text.lower() in ("true", "1")


def choice(request: Request, name: str, allowed: tuple[str, ...]) -> str | None:
    """Returns `?name=`, one of the allowed words in any case. None if absent. Raises Refused otherwise."""
    text = request.query.get(name)
    if text is None:
        return None
    if text.lower() not in allowed:
        raise Refused("invalid_choice", field=name, allowed=", ".join(allowed))
    return text.lower()


def number(request: Request, name: str) -> int | None:
    """Returns `?name=` as a whole number. None if absent. Raises Refused for any other value."""
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**63)):
        raise Refused("invalid_number", field=name)
    return int(text)


def moment(text: str, field: str) -> datetime:
    """Returns a time from a query, in UTC: ISO 8601, or epoch seconds or milliseconds.

    ISO 8601 without an offset is read as UTC.

    Raises:
        Refused: The text is in neither format.
    """
    try:
        if text.isascii() and text.isdigit():
            number = int(text[:20])
            found = datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS else number, UTC)
        else:
            found = datetime.fromisoformat(
                text.replace(" ", "+")
            )  # a URL decodes the plus of an offset to a blank
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise Refused("invalid_time", field=field) from None


def json_object(request: Request, depth: int = strict_json.MAX_DEPTH) -> dict[str, Any]:
    """Returns the request's JSON body as an object, read strictly. Raises as `body` does."""
    if len(request.body) > request_limits.API_BYTES:
        raise TooLarge("too_large", limit=request_limits.API_BYTES)
    if not request.body.strip():
        raise Refused("no_data")
    values = strict_json.read(request.body, depth)
    if not isinstance(values, dict):
        raise Refused("not_a_json_object")
    return values


def _names(model: type[BaseModel]) -> set[str]:
    """Returns the names of a model's fields, nested models included."""
    names: set[str] = set()
    schemas: list[Any] = [request_schema(model)]
    while schemas:
        schema = schemas.pop()
        if isinstance(schema, dict):
            names.update(schema.get("properties", ()))
            schemas += schema.values()
        elif isinstance(schema, list):
            schemas += schema
    return names


def _field_path(location: tuple[int | str, ...]) -> str:
    """Returns a field's path in the body, `accounts.2.weight`. A sender's key is cut and made printable."""
    place = ".".join(str(part) for part in location)
    return ascii(place)[1:-1][:_SHOWN_NAME] if not place.isprintable() else place[:_SHOWN_NAME]


_CODES = {
    "missing": "missing_field",
    "greater_than": "must_be_more",
    "greater_than_equal": "must_be_at_least",
    "less_than": "must_be_at_most",
    "less_than_equal": "must_be_at_most",
    "string_too_long": "too_long",
    "too_long": "too_many_entries",
    "string_too_short": "too_short",
    "too_short": "missing_field",
    "string_type": "invalid_text",
    "enum": "invalid_choice",
    "literal_error": "invalid_choice",
    "list_type": "invalid_list",
    "tuple_type": "invalid_list",
    "dict_type": "invalid_object",
    "model_type": "invalid_object",
    "decimal_max_digits": "too_many_digits",
    "decimal_max_places": "too_many_decimals",
    "decimal_whole_digits": "too_many_digits",
}


def _refusal(kind: str, field: str, context: dict[str, Any]) -> Refused:
    code = _CODES.get(kind)
    if code is None:
        code = next(
            (code for start, code in _CODES_BY_START.items() if kind.startswith(start)), "invalid_value"
        )
    values = {name: context[key] for key, name in _CONTEXT.items() if key in context}
    return Refused(code, field=field, **values)


_CODES_BY_START = {
    "decimal": "invalid_number",
    "int": "invalid_number",
    "finite": "invalid_number",
    "bool": "invalid_flag",
    "datetime": "invalid_time",
    "timezone": "invalid_time",
}

_CONTEXT = {
    "gt": "minimum",
    "ge": "minimum",
    "lt": "maximum",
    "le": "maximum",
    "max_length": "limit",
    "min_length": "limit",
    "max_digits": "limit",
    "decimal_places": "limit",
    "whole_digits": "limit",
    "expected": "allowed",
}
