"""Which types of events a connection hears."""

import re
from collections.abc import Sequence

from chalicelib.errors import Refused
from chalicelib.events import event_types

PRICE = "market.price"
EVERYTHING = "*"
"""Every event that is stored. Prices are not: whoever wants them names them."""

MOST = 20
_FORM = re.compile(r"\*|[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){0,3}(\.\*)?")


def is_pattern(text: object) -> bool:
    """Whether a text is a pattern: `*`, `order.filled` or `order.*`."""
    return isinstance(text, str) and _FORM.fullmatch(text) is not None


def validate_patterns(types: object) -> tuple[str, ...]:
    """A client's list of patterns, none twice.

    Raises Refused for anything else, a type that there is not included.
    """
    if not isinstance(types, list) or not all(is_pattern(pattern) for pattern in types):
        raise Refused("invalid_choice", field="types", allowed="*, order.*, order.filled, …")
    if len(types) > MOST:
        raise Refused("too_many_fields", limit=MOST)
    for pattern in types:
        if not (_is_matching(pattern, PRICE) or event_types.is_known(pattern)):
            raise Refused("unknown_event_type", field="types", event_type=pattern)
    return tuple(dict.fromkeys(types))


def is_heard(patterns: Sequence[str], type_: str) -> bool:
    """Whether one of the patterns takes in an event of this type."""
    return any(_is_matching(pattern, type_) for pattern in patterns)


def _is_matching(pattern: str, type_: str) -> bool:
    if pattern == EVERYTHING:
        return type_ != PRICE
    return type_.startswith(pattern[:-1]) if pattern.endswith(".*") else type_ == pattern
