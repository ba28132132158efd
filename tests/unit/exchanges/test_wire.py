"""Between text and values: exactly, or not at all."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.exchanges import wire


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**9), max_value=10**9))
def test_text_keeps_the_number(value):
    """A number written for an exchange reads back the same, and has no exponent."""
    assert value == Decimal(wire.text(value))
    assert "E" not in wire.text(value).upper()


def test_floats_are_refused():
    """A float has lost its digits before it got here."""
    with pytest.raises(TypeError):
        wire.decimal(0.1)


@pytest.mark.parametrize(
    ("written", "number"), [("", None), (None, None), ("0.10", Decimal("0.10")), (3, Decimal(3))]
)
def test_missing_numbers_are_none(written, number):
    """Exchanges write missing numbers as empty text."""
    assert number == wire.decimal(written)


def test_moments():
    """Milliseconds are read as UTC, zero as no time."""
    assert wire.moment("1700000000000").isoformat() == "2023-11-14T22:13:20+00:00"
    assert wire.moment("0") is None
