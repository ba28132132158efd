"""Numbers, names and texts of the admin API are taken literally."""

from decimal import Decimal

import pytest

from chalicelib.errors import Refused
from chalicelib.inputs import Input, Money, Name, Note, Whole, validate
from chalicelib.support.models import NewTicket
from chalicelib.users import credentials, tokens
from chalicelib.webhooks.delivery import ssrf_guard


class Body(Input):
    money: Money = Decimal(0)
    whole: Whole = 0
    name: Name = "x"
    note: Note = ""


@pytest.mark.parametrize(
    "text", ["1_0", " 5 ", "5\n", "٥", "+-1", "0x10", "1e", "", "Infinity", "nan", "1,5", True]
)
def test_what_is_no_number(text):
    """Forms that Python takes for numbers and JSON does not have."""
    for field in ("money", "whole"):
        with pytest.raises(Refused) as refused:
            validate({field: text}, Body)
        assert refused.value.values["field"] == field


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("0.50", Decimal("0.50")), ("1e3", 1000), (".5", Decimal("0.5")), (7, 7)]
)
def test_what_is_a_number(text, value):
    """Numbers, and texts as JSON writes them."""
    assert validate({"money": text}, Body).money == value


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\x00", "\x1b", "\ud800"])
def test_marks_that_turn_texts_around(mark):
    """Neither names nor titles nor messages hold direction overrides or control characters."""
    for model, values in (
        (Body, {"name": f"a{mark}b"}),
        (Body, {"note": f"a{mark}b"}),
        (NewTicket, {"title": f"a{mark}b", "message": "m"}),
    ):
        with pytest.raises(Refused):
            validate(values, model)
    with pytest.raises(Refused):
        validate({"title": "t", "message": f"a{mark}b"}, NewTicket)


def test_texts_of_several_lines_and_scripts():
    """Line breaks, emojis that are joined, and Arabic with its marks stay.

    Look-alike letters of a name become one.
    """
    text = "one\n\ttwo 👩\u200d💻 \u200fمرحبا"
    assert validate({"note": text}, Body).note == text
    assert validate({"name": "Ａｄａ"}, Body).name == "Ada"


@pytest.mark.parametrize("chosen", ["x" * 40, "ab" * 20, "abc" * 10, "0123456789" * 1 + "0" * 15])
def test_tokens_that_can_be_guessed(api_world, chosen):
    """A chosen token of a few repeated characters is refused, in the words in which a taken one is."""
    with pytest.raises(Refused) as weak:
        tokens.create_token("7", credentials.Kind.WEBHOOK, by="test", chosen=chosen)
    taken = "correct-Horse7battery_staple"
    tokens.create_token("7", credentials.Kind.WEBHOOK, by="test", chosen=taken)
    with pytest.raises(Refused) as again:
        tokens.create_token("8", credentials.Kind.WEBHOOK, by="test", chosen=taken)
    assert (weak.value.code, weak.value.values, weak.value.status) == (
        again.value.code,
        again.value.values,
        again.value.status,
    )


@pytest.fixture
def api_world(emulated):
    """Two users."""
    from chalicelib.users.create import create_user

    for user_id in (7, 8):
        create_user(by="test", user_id=user_id)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "127.1",
        "0177.0.0.1",
        "a..b",
        "-a.com",
        "a-.com",
        "a" * 64 + ".com",
        "1.2.3.4.5",
        "a;b",
    ],
)
def test_hosts_that_only_some_resolvers_read(host):
    """A host is a name or an address in its usual form."""
    with pytest.raises(ssrf_guard.Forbidden):
        ssrf_guard.check_url(f"https://{host}/", ssrf_guard.Policy())


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "example.com.",
        "xn--bcher-kva.example",
        "a_b.example.com",
        "93.184.215.14",
        "[2606:2800::1]",
    ],
)
def test_hosts(host):
    """Names and addresses as they are usually written."""
    ssrf_guard.check_url(f"https://{host}/", ssrf_guard.Policy())
