"""The bot's words, by name and language: `{language}.json` beside this, values in braces."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from chalicelib.messages import LANGUAGES


def text(name: str, values: Mapping[str, Any] | None = None, language: str = "en") -> str:
    """A text in a language of ours, else in English. A value that is missing or null shows as a dash."""
    words = catalogue(language).get(name) or catalogue("en")[name]
    return words.format_map(
        _Shown({key: value for key, value in (values or {}).items() if value is not None})
    )


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of one language; none for a language that is not ours."""
    if language not in LANGUAGES:
        return {}
    words: dict[str, str] = json.loads(
        Path(__file__).with_name(f"{language}.json").read_text(encoding="utf-8")
    )
    return words


class _Shown(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "–"
