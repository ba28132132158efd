"""The only JSON reader: accepted values can be stored and read back, and all others have a code."""

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import strict_json
from chalicelib.errors import Refused
from chalicelib.http import to_json

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": NaN}', "invalid_number"),
        ("[-Infinity]", "invalid_number"),
        ("1e999", "invalid_number"),
        ("1e-999999999999999999999", "invalid_number"),
        ("9" * 5000, "invalid_number"),
        ('"\\ud800"', "not_utf8"),
        ('{"\\udc00": 1}', "not_utf8"),
        (b'"\xff"', "not_utf8"),
        ('{"a": 1, "a": 1}', "duplicate_field"),
        ('{"b": [{"a": 1, "\\u0061": 2}]}', "duplicate_field"),
        ("[" * 9 + "]" * 9, "too_deep"),
        ('{"a":' * 9 + "1" + "}" * 9, "too_deep"),
        ("[" * 100_000, "too_deep"),
        ("", "broken_body"),
        ("{} {}", "broken_body"),
        ('"\n"', "broken_body"),
    ],
)
def test_what_is_refused(text, code):
    """Every form that a lenient reader lets through has a code of its own."""
    with pytest.raises(Refused) as refused:
        strict_json.read(text)
    assert refused.value.code == code


def test_what_is_taken():
    """Eight levels, a whole surrogate pair, numbers as they are written."""
    assert strict_json.read("[" * 8 + "]" * 8) == [[[[[[[[]]]]]]]]
    assert strict_json.read('{"a": "\\ud83d\\ude00", "b": 0.10, "c": 12}') == {
        "a": "😀",
        "b": Decimal("0.10"),
        "c": 12,
    }


@given(ANY)
def test_what_is_taken_is_answered_as_strict_json(value):
    """Whatever the reader takes, the renderer writes so that a strict reader takes it again."""
    try:
        taken = strict_json.read(json.dumps(value))
    except Refused:
        return
    assert strict_json.read(to_json({"value": taken})) is not None


def test_what_is_stored_already_never_fails_an_answer():
    """A value that an older version has stored shows as null or with a replacement."""
    body = {"a": math.inf, "b": Decimal("sNaN"), "c": "\ud800", "d": Decimal("1e400"), "\udc00": [math.nan]}
    shown = json.loads(to_json(body), parse_float=Decimal)
    assert shown == {"a": None, "b": None, "c": "?", "d": Decimal("1e400"), "?": [None]}
