"""Refuses names that a route does not know: `unknown_field`, with the nearest known name."""

import difflib
from collections.abc import Collection

from chalicelib.errors import Refused

_SHOWN_NAME = 64


def refuse_unknown(names: Collection[str], known: Collection[str]) -> None:
    """Raises Refused for the first of the names that is not known."""
    for name in names:
        if name not in known:
            raise unknown_field(name, known)


def unknown_field(name: str, known: Collection[str]) -> Refused:
    """Returns the refusal of an unknown name. The sender's name is cut and made printable."""
    shown = (name if name.isprintable() else ascii(name)[1:-1])[:_SHOWN_NAME]
    by_lowered = {each.lower(): each for each in sorted(known)}
    nearest = difflib.get_close_matches(shown.rpartition(".")[2].lower(), by_lowered, n=1, cutoff=0)
    if not nearest:
        return Refused("unknown_field", field=shown)
    return Refused("unknown_field", field=shown, nearest=by_lowered[nearest[0]], hint="hint_nearest")
