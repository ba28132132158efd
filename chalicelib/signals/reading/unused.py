"""Explains the fields of a body that the signal does not use."""

from typing import Any

from chalicelib import messages
from chalicelib.signals.models import Signal
from chalicelib.signals.reading.field_definitions import BY_NAME
from chalicelib.signals.reading.fields import Fields


def explained(signal: Signal, fields: Fields, *, closing: bool, language: str) -> list[dict[str, Any]]:
    """Returns the unused fields, each with its known name and an explanation.

    Args:
        signal: The parsed signal.
        fields: The body of the signal. An empty field is never used.
        closing: The signal is closing, so only fields that name the position are used.
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
