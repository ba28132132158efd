"""Sentences for people, by code and language. `{language}.json` maps code to sentence.

Values stand in braces.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "ko", "zh", "ar", "ru")


def render(code: str, values: Mapping[str, Any], language: str = "en") -> str:
    """Returns the sentence for a code. Fallbacks: English, then the code itself.

    A value `hint` is a code of its own, and its sentence follows.
    """
    sentence = _sentence(code, language).format_map(_Shown(values))
    hint = values.get("hint")
    return f"{sentence}. {_sentence(hint, language).format_map(_Shown(values))}" if hint else sentence


def _sentence(code: str, language: str) -> str:
    return catalogue(language).get(code) or catalogue("en").get(code) or code


def preferred(accept_language: str) -> str:
    """Returns our best language for an `Accept-Language` header (RFC 9110 §12.5.4). Default: English."""
    ranked = []
    for position, part in enumerate(accept_language.split(",")):
        tag, _, parameters = part.partition(";")
        weight = parameters.strip().removeprefix("q=").strip() if parameters else "1"
        try:
            quality = float(weight)
        except ValueError:
            continue
        ranked.append((-quality, position, tag.strip().lower().partition("-")[0]))
    return next(
        (language for quality, _, language in sorted(ranked) if quality < 0 and language in LANGUAGES), "en"
    )


@cache
def catalogue(language: str) -> dict[str, str]:
    """Returns all sentences of one language."""
    path = Path(__file__).parent / f"{language}.json"
    loaded: dict[str, str] = (
        json.loads(path.read_text(encoding="utf-8")) if language in LANGUAGES and path.exists() else {}
    )
    return loaded


class _Shown(dict[str, Any]):
    """Values for a sentence. A missing value shows as its name instead of failing the answer."""

    def __missing__(self, name: str) -> str:
        return "{" + name + "}"
