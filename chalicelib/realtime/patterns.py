"""The event types that a connection subscribes to."""

import re
from collections.abc import Sequence

from chalicelib.errors import Refused
from chalicelib.events import event_types

PRICE = "market.price"
EVERYTHING = "*"
"""Every stored event. Prices are not stored: a client must name them to get them."""

MOST = 20
_FORM = re.compile(r"\*|[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){0,3}(\.\*)?")


def is_pattern(text: object) -> bool:
    """Returns whether a text is a pattern: `*`, `order.filled` or `order.*`."""
    return isinstance(text, str) and _FORM.fullmatch(text) is not None


def validate_patterns(types: object) -> tuple[str, ...]:
    """Returns a client's list of patterns without duplicates.

    Raises Refused for anything else, unknown types included.
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
    """Returns whether one of the patterns matches the type."""
    return any(_is_matching(pattern, type_) for pattern in patterns)


def _is_matching(pattern: str, type_: str) -> bool:
    if pattern == EVERYTHING:
        return type_ != PRICE
    return type_.startswith(pattern[:-1]) if pattern.endswith(".*") else type_ == pattern
