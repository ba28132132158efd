"""Masks credentials in everything that is logged, stored as a trace or shown."""

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

_SENSITIVE = re.compile(
    r"token|secret|pass(?:phrase|word|wd)|api_?key|private_?key|credential|authorization|code$|^(?:pin|pwd|key|auth)$"
)
_SEPARATORS = re.compile(r"[\s\-]+")
_IN_TEXT = re.compile(
    r"""((?:token|secret|pass(?:phrase|word|wd)|api[_\s-]?key|private[_\s-]?key|code|pin|pwd)["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^\s"';&,}]+)""",
    re.IGNORECASE,
)
_ISSUED = re.compile(r"(?:whk|(?<![A-Za-z0-9])(?:api|xc))_[A-Za-z0-9]{1,32}_[A-Za-z0-9_-]{20,}")
"""A token or code that this service has created, anywhere in a text."""

_SHORTEST_SECRET = 6
"""In characters. A shorter value could match parts of ordinary words."""


def is_sensitive(name: str) -> bool:
    """Returns whether values of this name are credentials, by the name alone.

    True for `token`, `apiKey`, `xc_code`, `passphrase`.
    """
    return bool(_SENSITIVE.search(_SEPARATORS.sub("_", name).lower()))


def mask(value: Any, secrets: tuple[str, ...] = ()) -> Any:
    """Returns a copy of a value with each credential replaced by `***`.

    Args:
        value: JSON-like. Objects and lists are processed recursively.
        secrets: Known credentials, replaced anywhere inside a text or a key (a token repeated in a comment).
    """
    if isinstance(value, Mapping):
        return {
            mask_values(key, secrets): MASK
            if is_sensitive(key) and inner is not None
            else mask(inner, secrets)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [mask(inner, secrets) for inner in value]
    return mask_values(value, secrets)


def mask_values(value: Any, secrets: tuple[str, ...] = ()) -> Any:
    """Returns a copy of a value with known credentials and our own tokens masked, whatever its keys are."""
    if isinstance(value, Mapping):
        return {mask_values(key, secrets): mask_values(inner, secrets) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_values(inner, secrets) for inner in value]
    if not isinstance(value, str):
        return value
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            value = value.replace(secret, MASK)
    return _ISSUED.sub(MASK, value)


def mask_text(body: bytes, limit: int = 4096, secrets: tuple[str, ...] = ()) -> str:
    """Returns an unreadable body for the log: apparent credentials masked, cut to `limit` characters."""
    # Masked before the cut, which could halve a credential.
    text = body[: 8 * limit].decode("utf-8", "replace")
    return str(mask_values(_IN_TEXT.sub(rf"\1{MASK}", text), secrets))[:limit]
