"""Guesses why a body is unreadable, from the text at the position of the fault. Pure.

A hint is a code of the catalogue (`chalicelib/messages`). Its sentence follows the error's sentence.
"""

import re

_SMART = "“”„‟«»‘’‚‛′″＂＇"
_WORD = re.compile(r"[A-Za-z_/]+")
_PYTHON = {"None", "True", "False", "undefined", "nil"}
_MISSING = {"na", "n/a", "nan", "null", "inf", "infinity"}


_REPLACED = "\ufffd".encode()
"""The replacement for bytes that are not UTF-8, inserted by a gateway that passes bodies as text."""


def of_bytes(body: bytes) -> dict[str, str]:
    """Returns a hint about the encoding if the first bytes are not UTF-8.

    A gateway may have replaced some of these bytes.
    """
    if body.startswith((b"\x1f\x8b", b"\x1f" + _REPLACED)):
        return {"hint": "hint_gzip"}
    if body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:8]:
        return {"hint": "hint_utf16"}
    return {}


def of_json(text: str, position: int) -> dict[str, str]:
    """Returns a hint why JSON breaks at a position."""
    here, before = text[position : position + 12], text[:position].rstrip()
    word = found.group() if (found := _WORD.match(here)) else ""
    causes = (
        (bool(here) and here[0] in _SMART, "hint_smart_quote"),
        (here.startswith(("//", "/*", "#")), "hint_comment"),
        (here.startswith("```"), "hint_code_fence"),
        (before.endswith(",") and here.startswith(("}", "]")), "hint_trailing_comma"),
        (before.endswith(":") and here.startswith(("}", "]", ",")), "hint_missing_value"),
        (here.startswith("'"), "hint_single_quote"),
        (word in _PYTHON, "hint_python_word"),
        (word.lower() in _MISSING, "hint_missing_number"),
        (not text[position:].strip(), "hint_ends_early"),
        (before.endswith("}") and here.lstrip().startswith(("{", ",")), "hint_two_objects"),
        (here.startswith("\\"), "hint_backslash"),
        (here.startswith('"'), "hint_missing_comma"),
        (bool(word) and before.endswith(("{", ",")), "hint_unquoted_key"),
        (bool(word), "hint_unquoted_text"),
    )
    hint = next((hint for applies, hint in causes if applies), None)
    # Python 3.13 reports the comma before the bracket, earlier versions report the bracket.
    if hint is None and here.startswith(",") and text[position + 1 :].lstrip().startswith(("}", "]")):
        hint = "hint_trailing_comma"
    return {"hint": hint} if hint else {}


def of_pairs(text: str) -> dict[str, str]:
    """Returns a hint why a text is not `key=value` pairs: a code fence, a comment, or text before JSON."""
    if text.startswith("```"):
        return {"hint": "hint_code_fence"}
    if text[:1] in _SMART:
        return {"hint": "hint_smart_quote"}
    if text.startswith(("//", "/*", "#")):
        return {"hint": "hint_comment"}
    if "{" in text and '"' in text:
        return {"hint": "hint_text_before_json", "brace": "{"}
    return {}
