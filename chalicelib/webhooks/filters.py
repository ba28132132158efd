"""Whether a subscription wants an event: type, then payload filter.

A filter maps dotted payload paths to conditions. All conditions must hold:

    {"symbol": "BTCUSDT"}                      equal
    {"status": ["filled", "rejected"]}         any of these
    {"quantity": {"gte": "0.5", "lt": "10"}}   operators: eq ne in gt gte lt lte prefix exists

Numbers compare by value, also when the payload has them as text. Money is always text.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from chalicelib.events.event_types import type_matches

_ABSENT = object()
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def is_wanted(
    event_types: tuple[str, ...], conditions: Mapping[str, Any], event_type: str, payload: Any
) -> bool:
    """Returns whether a subscription with these types and this filter wants the event."""
    return any(type_matches(pattern, event_type) for pattern in event_types) and all(
        _holds(condition, _at(payload, path)) for path, condition in conditions.items()
    )


def find_problem(conditions: Any) -> str | None:
    """Returns what is wrong with a filter, or None if it is valid."""
    if not isinstance(conditions, Mapping):
        return "must be an object"
    for path, condition in conditions.items():
        if isinstance(condition, Mapping):
            unknown = set(condition) - set(_OPERATORS)
            if unknown or not condition:
                return f"{path}: operators are {', '.join(_OPERATORS)}"
            if not isinstance(condition.get("in", []), list):
                return f"{path}: `in` takes a list"
    return None


def _at(payload: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(payload, Mapping) or name not in payload:
            return _ABSENT
        payload = payload[name]
    return payload


def _holds(condition: Any, value: Any) -> bool:
    if isinstance(condition, Mapping):
        return all(_OPERATORS[operator](value, wanted) for operator, wanted in condition.items())
    if isinstance(condition, list):
        return _any_of(value, condition)
    return _equal(value, condition)


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if _is_number(value) and _is_number(wanted):
        return _compare(value, wanted, lambda left, right: left == right)
    return bool(value == wanted)


def _is_number(value: Any) -> bool:
    """Returns whether a value is a number or a numeric text: money is text in events."""
    return isinstance(value, (int, float, Decimal)) or (
        isinstance(value, str) and _DECIMAL.fullmatch(value) is not None
    )


def _any_of(value: Any, wanted: list[Any]) -> bool:
    return any(_equal(value, each) for each in wanted)


def _compare(value: Any, wanted: Any, holds: Callable[[Decimal, Decimal], bool]) -> bool:
    try:
        return holds(Decimal(str(value)), Decimal(str(wanted)))
    except InvalidOperation:
        return False


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": _equal,
    "ne": lambda value, wanted: not _equal(value, wanted),
    "in": _any_of,
    "gt": lambda value, wanted: _compare(value, wanted, lambda left, right: left > right),
    "gte": lambda value, wanted: _compare(value, wanted, lambda left, right: left >= right),
    "lt": lambda value, wanted: _compare(value, wanted, lambda left, right: left < right),
    "lte": lambda value, wanted: _compare(value, wanted, lambda left, right: left <= right),
    "prefix": lambda value, wanted: isinstance(value, str) and value.startswith(str(wanted)),
    "exists": lambda value, wanted: (value is not _ABSENT) is bool(wanted),
}
