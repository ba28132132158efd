"""Parses the body of a webhook into named values, whatever its format. Pure.

A body is a JSON object, or a connection string such as `code=… command=sell amount=0.05`. The content type is
ignored because senders set it wrongly: TradingView calls JSON with a trailing newline `text/plain`.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from chalicelib import request_limits
from chalicelib.errors import Refused, TooLarge
from chalicelib.signals.reading import body_hints, masking
from chalicelib.signals.reading.aliases import CANONICAL, CASE_MATTERS, squash
from chalicelib.signals.reading.field_definitions import TYPE_NAMES, is_plain
from chalicelib.trading import Action, OrderType

MAX_FIELDS = 200

MAX_TEXT = 256
"""Characters of a name, an id or a key."""

MAX_DEPTH = 8
"""Levels of lists and objects. `orders` needs three.

The limit protects stores and renderers, which are recursive.
"""

PLACEHOLDER = re.compile(r"\{\{[^{}]{1,80}\}\}")
"""A placeholder that TradingView has not filled, `{{close}}`."""

_SCALAR = re.compile(r"-?\d[\d.eE+-]*|true|false|null|NaN|-?Infinity")
_PAIR = re.compile(r"""([^\s=;&]+)=(?:"([^"]*)"|'([^']*)'|([^\s;&"'][^\s;&]*)?)(?=[\s;&]|\Z)""")
_BETWEEN = re.compile(r"[\s;&]+")
_SHOWN_KEY = 64
_ORDER_TYPES = frozenset(squash(word) for word in (*OrderType, Action.CANCEL_ALL))


class Fields:
    """The named values of one body.

    Attributes:
        values: By canonical name, such as `symbol` for `ticker`. An unknown key has its own spelling. Numbers
            are Decimal. An empty field is None, a field that was not sent is absent. Never contains `token`
            and `code`.
        spelling: The sender's spelling of each name, for messages.
        keys: Every known name as spelled, squashed. Distinguishes `qty_per` from its alias `percent`.
        problems: By name, the refusal of a duplicate key or of aliases that disagree. The signal decides
            which of them matter.
        in_pairs: The body was a connection string.
        odd_keys: Keys with a backslash or beyond printable ASCII, with their positions from 1. They name no
            field.
        token: The webhook token. None if the body has none.
        code: The xc code. None if the body has none.
    """

    __slots__ = ("_names", "code", "in_pairs", "keys", "odd_keys", "problems", "spelling", "token", "values")

    def __init__(
        self,
        pairs: Iterable[tuple[str, Any]],
        *,
        in_pairs: bool = False,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Reads the pairs of a body.

        Args:
            names: Squashed spelling to name of an object inside the body. None takes the names of a body.
        """
        self.in_pairs = in_pairs
        self._names = names
        self.values: dict[str, Any] = {}
        self.spelling: dict[str, str] = {}
        self.keys: set[str] = set()
        self.problems: dict[str, Refused] = {}
        self.odd_keys: list[tuple[int, str]] = []
        for position, (key, value) in enumerate(pairs, 1):
            if is_plain(key):
                self._add(key, None if isinstance(value, str) and not value.strip() else value)
            else:
                self.odd_keys.append((position, key))
                self.values[key], self.spelling[key] = value, key
        self.token = _credential("token", self.values.pop("token", None))
        self.code = _credential("code", self.values.pop("code", None))

    def _add(self, key: str, value: Any) -> None:
        squashed = squash(key)
        if self._names is not None:
            name = self._names.get(squashed, key)
        elif squashed in TYPE_NAMES and _is_order_type(value):
            name = "order_type"
        else:
            name = CANONICAL.get(squashed, key)
        if squashed in self.keys:
            self.problems.setdefault(name, Refused("duplicate_field", field=key[:_SHOWN_KEY]))
            return
        self.keys.add(squashed)
        if isinstance(value, (dict, list)) and (twice := _twice_within(value)):
            self.problems.setdefault(name, Refused("duplicate_field", field=twice[:_SHOWN_KEY]))
        if name not in self.values or self.values[name] is None:
            self.values[name] = value
            self.spelling[name] = key
        elif value is not None and not _same(name, self.values[name], value):
            self.problems.setdefault(
                name, Refused("conflicting_fields", field=self.spelling[name], other=key)
            )

    def check(self, names: Collection[str] | None = None) -> None:
        """Raises the first of the problems.

        Args:
            names: The names to check. None checks all.
        """
        for name, problem in self.problems.items():
            if names is None or name in names:
                raise problem

    def spelled(self, name: str) -> bool:
        """Returns whether the field was sent, even empty, under this name in any spelling.

        Aliases do not count.
        """
        return squash(name) in self.keys

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __repr__(self) -> str:
        return f"Fields({self.masked()})"

    def shown(self, name: str) -> str:
        """Returns the name as the sender spelled it, cut for a message."""
        return self.spelling.get(name, name)[:_SHOWN_KEY]

    def text(self, name: str) -> str | None:
        """Returns a text value for look-ups before the signal is parsed.

        None if the field is missing, or is no text of acceptable length.
        """
        value = self.values.get(name)
        shown = (
            str(value).strip() if isinstance(value, (str, Decimal)) else ""
        )  # an odd value is refused by name when the signal is parsed
        return shown if 0 < len(shown) <= MAX_TEXT else None

    def masked(self, others: tuple[str, ...] = ()) -> str:
        """Returns the body for a log, as JSON: keys as spelled, every credential replaced by `***`.

        Args:
            others: Credentials that the request presents elsewhere.
        """
        credentials = {
            name: masking.MASK for name, value in (("token", self.token), ("code", self.code)) if value
        }
        shown = {self.spelling[name]: value for name, value in {**self.values, **credentials}.items()}
        return json.dumps(masking.mask(shown, (*self.secrets, *others)), ensure_ascii=False, default=str)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The credentials in the body."""
        return tuple(secret for secret in (self.token, self.code) if secret)


def read(body: bytes) -> Fields:
    """Parses a body.

    Args:
        body: As received, in UTF-8. A byte order mark, CRLF and surrounding blanks are permitted.

    Raises:
        Refused: `no_data`, `not_utf8`, `not_an_object`, `broken_body`, `broken_pair`, `placeholder`,
            `too_deep`, `too_many_fields`, `invalid_text` for a token that is no text. Duplicate keys are in
            `Fields.problems`.
        TooLarge: `too_large`.
    """
    if len(body) > request_limits.SIGNAL_BYTES:
        raise TooLarge("too_large", limit=request_limits.SIGNAL_BYTES)
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Refused("not_utf8", **body_hints.of_bytes(body)) from None
    if hint := body_hints.of_bytes(body):
        raise Refused("not_utf8", **hint)
    if text in ("", "null"):
        raise Refused("no_data")
    in_pairs = text[0] != "{"
    if not in_pairs:
        pairs = _from_json(text)
    elif text[0] in '["' or _SCALAR.fullmatch(text):
        raise Refused("not_an_object")
    else:
        pairs = _from_connection_string(text)
    if not pairs:
        raise Refused("no_data")
    if len(pairs) > MAX_FIELDS:
        raise Refused("too_many_fields", limit=MAX_FIELDS)
    fields = Fields(pairs, in_pairs=in_pairs)
    if "\ufffd" in text:  # API Gateway passes the body as text and replaces bytes that are not UTF-8 by this
        fields.problems["body"] = Refused("not_utf8")
    return fields


def _from_json(text: str) -> list[tuple[str, Any]]:
    try:
        loaded: _Object = _DECODER.decode(text)
        if "\\u" in text:
            # Half a surrogate pair is a legal escape, but stores and answers could not encode it.
            json.dumps(loaded, ensure_ascii=False, default=str).encode()
    except json.JSONDecodeError as broken:
        _refuse_placeholder(text)
        raise Refused(
            "broken_body", line=broken.lineno, column=broken.colno, **body_hints.of_json(text, broken.pos)
        ) from None
    except RecursionError:
        raise Refused("too_deep", limit=MAX_DEPTH) from None
    except UnicodeEncodeError:
        raise Refused("not_utf8") from None
    _refuse_depth(loaded)
    return loaded.pairs


def _from_connection_string(text: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    position = _skip(text, 0)
    while position < len(text):
        found = _PAIR.match(text, position)
        if found is None:
            _refuse_placeholder(text)
            # The message omits the part, which may contain a credential.
            raise Refused("broken_pair", position=len(pairs) + 1, **body_hints.of_pairs(text))
        key, double_quoted, single_quoted, bare = found.groups()
        pairs.append(
            (key, next((value for value in (double_quoted, single_quoted, bare) if value is not None), ""))
        )
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


class _Object(dict[str, Any]):
    """A JSON object that keeps its pairs, duplicate keys included."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    @property
    def twice(self) -> str | None:
        """A key that the object has twice. None if there is none."""
        names = [name for name, _ in self.pairs]
        return (
            next((name for name in names if names.count(name) > 1), None) if len(self) != len(names) else None
        )


def _twice_within(value: Any) -> str | None:
    """Returns a duplicate key in any object of a nested value. None if there is none. Depth is bounded."""
    if isinstance(value, dict):
        own = value.twice if isinstance(value, _Object) else None
        return own or next(filter(None, map(_twice_within, value.values())), None)
    return next(filter(None, map(_twice_within, value)), None) if isinstance(value, list) else None


def _is_order_type(value: Any) -> bool:
    """Returns whether the value of `type` is an order type. An empty value counts.

    Otherwise the default would change the order.
    """
    return value is None or (isinstance(value, str) and squash(value.strip()) in _ORDER_TYPES)


def _decimal(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text  # an exponent beyond any Decimal: reading the field refuses it by name


def _same(name: str, one: Any, other: Any) -> bool:
    if (
        isinstance(one, bool)
        or isinstance(other, bool)
        or not isinstance(one, (str, Decimal))
        or not isinstance(other, (str, Decimal))
    ):
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
    strict=False,  # TradingView does not escape line breaks in a comment
    parse_float=_decimal,
    parse_int=_decimal,
    parse_constant=Decimal,  # a plot without a value is NaN. Only a field that counts may be refused for it
    object_pairs_hook=_Object,
)
