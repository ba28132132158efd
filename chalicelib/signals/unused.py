"""What was done with each field of a body that the signal does not use."""

from typing import Any

from chalicelib import messages
from chalicelib.signals.field_definitions import BY_NAME
from chalicelib.signals.fields import Fields
from chalicelib.signals.models import Signal


def explained(signal: Signal, fields: Fields, *, closing: bool, language: str) -> list[dict[str, Any]]:
    """The unused fields, each with its meaning if it has one and what was done with it.

    Args:
        signal: As it was read.
        fields: The body it was read from. A field that was sent empty is never used.
        closing: A closing signal reads only what names the position.
        language: Of the explanations.
    """
    empty = (name for name, value in fields.values.items() if value is None)
    return [
        _one(field, closing=closing, language=language) for field in dict.fromkeys((*signal.unknown, *empty))
    ]


def _one(field: str, *, closing: bool, language: str) -> dict[str, Any]:
    known = field if field in BY_NAME else None
    code = "field_not_needed" if closing else "field_not_used_here" if known else "field_unknown"
    return {
        "field": field,
        "name": known,
        "code": code,
        "explanation": messages.render(code, {"name": known}, language),
    }
