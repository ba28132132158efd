"""The likely cause of a body that cannot be read, by what stands at the place of the fault. Pure.

A hint is a code of the catalogue (`chalicelib/messages`). Its sentence is appended to the error's own.
"""

import re

_SMART = "“”„‟«»‘’‚‛′″＂＇"
_WORD = re.compile(r"[A-Za-z_/]+")
_PYTHON = {"None", "True", "False", "undefined", "nil"}
_MISSING = {"na", "n/a", "nan", "null", "inf", "infinity"}


_REPLACED = "\ufffd".encode()
"""What a gateway that hands bodies on as text puts for bytes that are not UTF-8."""


def of_bytes(body: bytes) -> dict[str, str]:
    """The encoding of a body, where its first bytes tell that it is not UTF-8.

    A gateway may have replaced some of them.
    """
    if body.startswith((b"\x1f\x8b", b"\x1f" + _REPLACED)):
        return {"hint": "hint_gzip"}
    if body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:8]:
        return {"hint": "hint_utf16"}
    return {}


def of_json(text: str, position: int) -> dict[str, str]:
    """Why JSON breaks at a position."""
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
    # A comma before the bracket is where Python 3.13 sees the fault, the bracket where earlier versions do.
    if hint is None and here.startswith(",") and text[position + 1 :].lstrip().startswith(("}", "]")):
        hint = "hint_trailing_comma"
    return {"hint": hint} if hint else {}


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
