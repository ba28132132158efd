"""Types, wildcards and payload filters."""

from typing import Any

import pytest

from chalicelib.webhooks import filters

PAYLOAD = {
    "symbol": "BTCUSDT",
    "quantity": "0.50",
    "accounts": 3,
    "demo": False,
    "values": {"needed": "18577.56"},
    "price": None,
}


@pytest.mark.parametrize(
    ("pattern", "event_type", "matches"),
    [
        ("order.filled", "order.filled", True),
        ("order.filled", "order.filled.x", False),
        ("order.*", "order.filled", True),
        ("order.*", "orders.filled", False),
        ("order.*", "order", False),
        ("*", "anything", True),
        ("order", "order.filled", False),
    ],
)
def test_types_match_exactly_or_by_wildcard(pattern: str, event_type: str, *, matches: bool) -> None:
    """A wildcard matches the types below it, anything else only itself."""
    assert filters.type_matches(pattern, event_type) is matches


@pytest.mark.parametrize(
    ("conditions", "wants"),
    [
        ({}, True),
        ({"symbol": "BTCUSDT"}, True),
        ({"symbol": "ETHUSDT"}, False),
        ({"symbol": ["ETHUSDT", "BTCUSDT"]}, True),
        ({"symbol": {"prefix": "BTC"}}, True),
        ({"quantity": {"gte": "0.5", "lt": 1}}, True),
        ({"quantity": {"gt": "0.5"}}, False),
        ({"quantity": 0.5}, True),
        ({"quantity": {"eq": "0.500"}}, True),
        ({"quantity": "0.50"}, True),
        ({"quantity": ["0.7", "00.5"]}, True),
        ({"quantity": {"ne": "0.500"}}, False),
        ({"quantity": {"in": ["0.5000"]}}, True),
        ({"quantity": "5e-1"}, False),
        ({"symbol": "btcusdt"}, False),
        ({"accounts": "3"}, True),
        ({"accounts": {"in": [1, 3]}}, True),
        ({"accounts": {"ne": 3}}, False),
        ({"values.needed": {"gt": 18577}}, True),
        ({"values.missing": {"exists": False}}, True),
        ({"values.missing": "x"}, False),
        ({"demo": False}, True),
        ({"demo": 0}, False),
        ({"price": None}, True),
        ({"symbol": {"gt": 1}}, False),
        ({"symbol": "BTCUSDT", "accounts": 4}, False),
    ],
)
def test_every_condition_of_a_filter_has_to_hold(conditions: dict[str, Any], *, wants: bool) -> None:
    """Filters compare by value along dotted paths, also money given as text."""
    assert filters.find_problem(conditions) is None
    assert filters.is_wanted(("*",), conditions, "order.filled", PAYLOAD) is wants


@pytest.mark.parametrize("conditions", [[], "x", {"a": {}}, {"a": {"like": 1}}, {"a": {"in": 1}}])
def test_a_filter_that_cannot_be_used_is_named(conditions: Any) -> None:
    """A broken filter is described rather than ignored."""
    assert filters.find_problem(conditions)
