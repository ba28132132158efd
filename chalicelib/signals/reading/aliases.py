"""All accepted spellings of field names. `field_definitions.py` defines the fields."""

from collections.abc import Mapping

from chalicelib.signals.reading.field_definitions import ALIASES, TYPE_NAMES, squash

__all__ = ["ALIASES", "CANONICAL", "CASE_MATTERS", "squash"]

CASE_MATTERS = frozenset({"token", "code", "account", "idempotency_key", "group_name", "strategy_id"})
"""Fields with names or secrets as values. Two aliases agree only if their values are identical."""

CANONICAL: Mapping[str, str] = {
    squash(spelling): name
    for name, others in ALIASES.items()
    for spelling in (name, *others)
    if squash(spelling) not in TYPE_NAMES  # the value decides whether `type` is an order type
}
"""Squashed spelling to canonical name."""
