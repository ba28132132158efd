"""The likely cause of a body that cannot be read, by what stands at the place of the fault. Pure.

A hint is a code of the catalogue (`chalicelib/messages`). Its sentence is appended to the error's own.
"""

import re

_SMART = "“”„‟«»‘’‚‛′″＂＇"
_WORD = re.compile(r"[A-Za-z_/]+")
_PYTHON = {"None", "True", "False", "undefined", "nil"}
_MISSING = {"na", "n/a", "nan", "null", "inf", "infinity"}


def of_bytes(body: bytes) -> dict[str, str]:
    """The encoding of a body that is not UTF-8, as far as its first bytes tell."""
    if body.startswith(b"\x1f\x8b"):
        return {"hint": "hint_gzip"}
    if body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:4]:
        return {"hint": "hint_utf16"}
    return {}


def of_json(text: str, position: int) -> dict[str, str]:
    """Why JSON breaks at a position."""
    here, before = text[position : position + 12], text[:position].rstrip()
    word = found.group() if (found := _WORD.match(here)) else ""
    if here[:1] and here[0] in _SMART:
        return {"hint": "hint_smart_quote"}
    if here.startswith(("//", "/*", "#")):
        return {"hint": "hint_comment"}
    if here.startswith("```"):
        return {"hint": "hint_code_fence"}
    if before.endswith(",") and here[:1] in ("}", "]"):
        return {"hint": "hint_trailing_comma"}
    if here[:1] in ("}", "]") and text[:position].rstrip().endswith(":"):
        return {"hint": "hint_missing_value"}
    if here[:1] == "'":
        return {"hint": "hint_single_quote"}
    if word in _PYTHON:
        return {"hint": "hint_python_word"}
    if word.lower() in _MISSING:
        return {"hint": "hint_missing_number"}
    return _of_structure(text, position, here, before, word)


def _of_structure(text: str, position: int, here: str, before: str, word: str) -> dict[str, str]:
    if not text[position:].strip():
        return {"hint": "hint_ends_early"}
    if before.endswith("}") and (here[:1] in ("{", ",") or here.startswith("\n{")):
        return {"hint": "hint_two_objects"}
    if here[:1] == "\\":
        return {"hint": "hint_backslash"}
    if here[:1] == '"':
        return {"hint": "hint_missing_comma"}
    if word and before[-1:] in ("{", ","):
        return {"hint": "hint_unquoted_key"}
    if word:
        return {"hint": "hint_unquoted_text"}
    return {}


def of_pairs(text: str) -> dict[str, str]:
    """Why a text is not `key=value` pairs, where it looks like JSON or carries a code fence."""
    if text.startswith("```"):
        return {"hint": "hint_code_fence"}
    if text[:1] in _SMART:
        return {"hint": "hint_smart_quote"}
    if text.startswith(("//", "/*", "#")):
        return {"hint": "hint_comment"}
    if "{" in text and '"' in text:
        return {"hint": "hint_text_before_json", "brace": "{"}
    return {}
