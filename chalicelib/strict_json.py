"""The only reader of JSON from outside. Its values can be stored and read back as strict JSON.

`json.loads` accepts what RFC 8259 excludes or leaves open: NaN and infinities, half of a surrogate pair, a
duplicate key, any depth. Each is refused here, with the code that the webhooks use for it.
"""

import json
from decimal import Decimal
from typing import Any, NoReturn

from chalicelib.errors import Refused

MAX_DEPTH = 8
"""Levels of lists and objects. The readers, stores and renderers of the values are recursive."""
_LONGEST_NUMBER = 64  # characters
_LARGEST_EXPONENT = 125  # DynamoDB's numbers end at 10^125
_SHOWN_KEY = 64


def read(data: bytes | str, depth: int = MAX_DEPTH) -> Any:
    """Returns the JSON value of a text of at most `depth` levels.

    Numbers with a fraction or an exponent are Decimal.

    Raises:
        Refused: `not_utf8`, `broken_body`, `too_deep`, `duplicate_field` or `invalid_number`.
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
        value = _DECODER.decode(text)
        _check(value, depth)
    except UnicodeError:
        raise Refused("not_utf8") from None
    except json.JSONDecodeError as error:
        raise Refused("broken_body", line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise Refused("too_deep", limit=depth) from None
    except (ValueError, ArithmeticError):
        raise Refused("invalid_number", field="body") from None
    return value


def _check(value: Any, limit: int) -> None:
    """Checks depth and texts without recursion. Raises UnicodeError for half of a surrogate pair."""
    level = [value]
    depth = 0
    while level:
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += [*each, *each.values()]
            elif isinstance(each, list):
                inner += each
            elif isinstance(each, str) and not each.isascii():
                each.encode()
        depth += any(isinstance(each, (dict, list)) for each in level)
        if depth > limit:
            raise Refused("too_deep", limit=limit)
        level = inner


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Refused("duplicate_field", field=ascii(key)[1:-1][:_SHOWN_KEY])
        found[key] = value
    return found


def _whole(text: str) -> int:
    return int(_bounded(text))


def _fraction(text: str) -> Decimal:
    number = Decimal(_bounded(text))
    if number and abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError(text)
    return number


def _bounded(text: str) -> str:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(text)
    return text


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
)
