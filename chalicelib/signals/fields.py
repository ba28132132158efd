"""The body of a webhook as named values, whatever it was written in. Pure: bytes in, `Fields` or a refusal out.

A body is a JSON object, or a connection string such as `code=… command=sell amount=0.05`. The content type never decides: senders
set it wrongly (TradingView calls JSON with a trailing newline `text/plain`).
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from chalicelib import limits
from chalicelib.errors import Refused, TooLarge
from chalicelib.signals import masking
from chalicelib.signals.spelling import CANONICAL, CASE_MATTERS, squash

MAX_FIELDS = 200

MAX_TEXT = 256
"""Characters of a name, an id or a key."""

MAX_DEPTH = 8
"""Nesting of lists and objects. `orders` needs three levels; stores and renderers further down recurse, so it has to end somewhere."""

PLACEHOLDER = re.compile(r"\{\{[^{}]{1,80}\}\}")
"""A TradingView placeholder that TradingView did not fill, `{{close}}`."""

_SCALAR = re.compile(r"-?\d[\d.eE+-]*|true|false|null|NaN|-?Infinity")
_PAIR = re.compile(r"""([^\s=;&]+)=(?:"([^"]*)"|'([^']*)'|([^\s;&"'][^\s;&]*)?)(?=[\s;&]|\Z)""")
_BETWEEN = re.compile(r"[\s;&]+")
_SHOWN_KEY = 64


class Fields:
    """The named values of one body.

    Attributes:
        values: By canonical name, such as `symbol` for `ticker`; a key nobody knows under its own spelling. Numbers are Decimal. A
            field that was sent empty is there as None. Neither `token` nor `code` is in here.
        spelling: How the sender spelled each name, for messages.
        token: The webhook token, if the body carries one.
        code: The xc code, if the body carries one.
    """

    __slots__ = ("code", "spelling", "token", "values")

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        self.values: dict[str, Any] = {}
        self.spelling: dict[str, str] = {}
        seen: set[str] = set()
        for key, value in pairs:
            squashed = squash(key)
            if squashed in seen:
                raise Refused("duplicate_field", field=key[:_SHOWN_KEY])
            seen.add(squashed)
            self._add(CANONICAL.get(squashed, key), key, None if isinstance(value, str) and not value.strip() else value)
        self.token = _credential("token", self.values.pop("token", None))
        self.code = _credential("code", self.values.pop("code", None))

    def _add(self, name: str, key: str, value: Any) -> None:
        if name not in self.values or self.values[name] is None:
            self.values[name] = value
            self.spelling[name] = key
        elif value is not None and not _same(name, self.values[name], value):
            raise Refused("conflicting_fields", field=self.spelling[name], other=key)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __repr__(self) -> str:
        return f"Fields({self.masked()})"

    def shown(self, name: str) -> str:
        """The name as the sender spelled it, short enough for a message."""
        return self.spelling.get(name, name)[:_SHOWN_KEY]

    def text(self, name: str) -> str | None:
        """A text value for looking something up before the signal is parsed; None if it is missing or no text of sane length."""
        value = self.values.get(name)
        shown = str(value).strip() if isinstance(value, (str, Decimal)) else ""  # an odd one is refused by name when it is parsed
        return shown if 0 < len(shown) <= MAX_TEXT else None

    def masked(self, others: tuple[str, ...] = ()) -> str:
        """The body for a log, as JSON: keys as spelled by the sender, every credential replaced by `***`.

        Args:
            others: Credentials that the request presents elsewhere.
        """
        credentials = {name: masking.MASK for name, value in (("token", self.token), ("code", self.code)) if value}
        shown = {self.spelling[name]: value for name, value in {**self.values, **credentials}.items()}
        return json.dumps(masking.mask(shown, (*self.secrets, *others)), ensure_ascii=False, default=str)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The credentials in the body."""
        return tuple(secret for secret in (self.token, self.code) if secret)


def read(body: bytes) -> Fields:
    """Reads a body.

    Args:
        body: As received, in UTF-8; a byte order mark, CRLF and blank ends are tolerated.

    Raises:
        Refused: `no_data`, `not_utf8`, `not_an_object`, `broken_body`, `broken_pair`, `placeholder`, `too_deep`, `too_many_fields`,
            `duplicate_field`, `conflicting_fields`, `invalid_text` for a token that is no text.
        TooLarge: `too_large`.
    """
    if len(body) > limits.SIGNAL_BYTES:
        raise TooLarge("too_large", limit=limits.SIGNAL_BYTES)
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Refused("not_utf8") from None
    if text in ("", "null"):
        raise Refused("no_data")
    if text[0] == "{":
        pairs = _from_json(text)
    elif text[0] in '["' or _SCALAR.fullmatch(text):
        raise Refused("not_an_object")
    else:
        pairs = _from_connection_string(text)
    if not pairs:
        raise Refused("no_data")
    if len(pairs) > MAX_FIELDS:
        raise Refused("too_many_fields", limit=MAX_FIELDS)
    return Fields(pairs)


def _from_json(text: str) -> list[tuple[str, Any]]:
    try:
        loaded: dict[str, Any] = _DECODER.decode(text)
        if "\\u" in text:
            # Half a surrogate pair is a legal escape that no store and no answer could encode later.
            json.dumps(loaded, ensure_ascii=False, default=str).encode()
    except json.JSONDecodeError as broken:
        _refuse_placeholder(text)
        raise Refused("broken_body", line=broken.lineno, column=broken.colno) from None
    except RecursionError:
        raise Refused("too_deep", limit=MAX_DEPTH) from None
    except UnicodeEncodeError:
        raise Refused("not_utf8") from None
    _refuse_depth(loaded)
    return list(loaded.items())


def _from_connection_string(text: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    position = _skip(text, 0)
    while position < len(text):
        found = _PAIR.match(text, position)
        if found is None:
            _refuse_placeholder(text)
            # The part itself is not shown: it may hold a credential.
            raise Refused("broken_pair", position=len(pairs) + 1)
        key, double_quoted, single_quoted, bare = found.groups()
        pairs.append((key, next((value for value in (double_quoted, single_quoted, bare) if value is not None), "")))
        position = _skip(text, found.end())
    return pairs


def _skip(text: str, position: int) -> int:
    between = _BETWEEN.match(text, position)
    return between.end() if between else position


def _refuse_placeholder(text: str) -> None:
    found = PLACEHOLDER.search(text)
    if found:
        raise Refused("placeholder", field="message", value=found.group())


def _refuse_depth(loaded: Mapping[str, Any]) -> None:
    level: list[Any] = [value for value in loaded.values() if isinstance(value, (dict, list))]
    depth = 1
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise Refused("too_deep", limit=MAX_DEPTH)
        inner = (value for part in level for value in (part.values() if isinstance(part, dict) else part))
        level = [value for value in inner if isinstance(value, (dict, list))]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise Refused("duplicate_field", field=next(name for name in names if names.count(name) > 1)[:_SHOWN_KEY])
    return found


def _decimal(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text  # An exponent beyond any Decimal: whoever reads the field refuses it by name.


def _same(name: str, one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool) or not isinstance(one, (str, Decimal)) or not isinstance(other, (str, Decimal)):
        return bool(type(one) is type(other) and one == other)
    if str(one) == str(other):
        return True
    if name in CASE_MATTERS:
        return False
    numbers = [_decimal(value.strip()) if isinstance(value, str) else value for value in (one, other)]
    if all(isinstance(number, Decimal) and number.is_finite() for number in numbers):
        return numbers[0] == numbers[1]
    return str(one).strip().lower() == str(other).strip().lower()


def _credential(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return (value or "").strip() or None
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return str(value)
    raise Refused("invalid_text", field=name)


_DECODER = json.JSONDecoder(
    strict=False,  # TradingView passes line breaks inside a comment on as they are
    parse_float=_decimal,
    parse_int=_decimal,
    parse_constant=Decimal,  # a plot without a value is NaN; only a field that counts may be refused for it
    object_pairs_hook=_unique,
)
