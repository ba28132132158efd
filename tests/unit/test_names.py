"""The names that people have: a line takes every script, and nothing that breaks or disguises it."""

import pytest
from pydantic import TypeAdapter, ValidationError

from chalicelib.inputs import ShortText

LINE: TypeAdapter[str] = TypeAdapter(ShortText)


@pytest.mark.parametrize(
    "name",
    [
        "O'Brien",
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",  # Persian, with a non-joiner
        "\u0915\u094d\u200d\u0937",  # Devanagari, with a joiner
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 Jos\u00e9",  # a family
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
        "\u5c71\u7530\u3000\u592a\u90ce",  # Japanese, with its own space
        "Jean\u00a0Paul",
        "\u05d0\u200f!",
    ],
)
def test_a_name_that_people_have_is_taken(name: str) -> None:
    """Joiners, marks, tags and every space are part of writing."""
    assert LINE.validate_python(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "a\nb",
        "a\x00b",
        "a\u2028b",
        "a\u2029b",
        "a\u202eb",
        "a\u2066b",
        "a\u200bb",
        "\u200d",
        "\u3000",
        "\ufeffa",
    ],
)
def test_what_breaks_or_disguises_a_line_is_refused(name: str) -> None:
    """Controls, line ends, overrides of direction, and a line in which nothing is visible."""
    with pytest.raises(ValidationError):
        LINE.validate_python(name)
