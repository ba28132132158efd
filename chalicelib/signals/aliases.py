"""The names of fields, in every spelling senders use. The fields themselves are in `field_definitions.py`."""

from collections.abc import Mapping

from chalicelib.signals.field_definitions import ALIASES, TYPE_NAMES, squash

__all__ = ["ALIASES", "CANONICAL", "CASE_MATTERS", "squash"]

CASE_MATTERS = frozenset({"token", "code", "account", "idempotency_key", "group_name", "strategy_id"})
"""Fields whose values are names or secrets: two aliases agree only if they are the same to the letter."""

CANONICAL: Mapping[str, str] = {
    squash(spelling): name
    for name, others in ALIASES.items()
    for spelling in (name, *others)
    if squash(spelling) not in TYPE_NAMES  # the value decides whether `type` is an order type
}
"""Squashed spelling to canonical name."""
