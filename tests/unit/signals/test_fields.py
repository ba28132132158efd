"""Bodies in every form, and every form that is refused."""

import gzip
import json
from decimal import Decimal

import pytest

from chalicelib import messages, request_limits
from chalicelib.errors import Refused, TooLarge
from chalicelib.signals.reading import fields, masking


def refusal(body: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        fields.read(body).check()
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b'{"symbol":"BTCUSDT","side":"buy"}',
        b'{"symbol":"BTCUSDT","side":"buy"}\n',
        b'\xef\xbb\xbf{"symbol":"BTCUSDT",\r\n "side":"buy"}\r\n',
        b"symbol=BTCUSDT side=buy",
        b"symbol=BTCUSDT;side=buy;",
        b"symbol=BTCUSDT&side=buy",
        b"symbol=BTCUSDT\r\nside=buy\r\n",
        b"  symbol='BTCUSDT' ;\n side=\"buy\"",
    ],
)
def test_one_body_in_every_form(body):
    """JSON and connection strings with any separator, quoting and line ending read alike."""
    assert fields.read(body).values == {"symbol": "BTCUSDT", "side": "buy"}


def test_complaint_12_trailing_newline_makes_json_text_plain():
    """A valid JSON message with a newline behind it, which TradingView then calls text/plain, is read as
    JSON.
    """
    assert fields.read(b'{"ticker":"AAPL","price":185.50}\n').values == {
        "symbol": "AAPL",
        "price": Decimal("185.50"),
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"symbol": "BTCUSDT", "side": }', "broken_body"),
        (b'{"symbol": "BTCUSDT",}', "broken_body"),
        (b'{"symbol": "BTCUSDT"', "broken_body"),
        (b'{"a":1} {"b":2}', "broken_body"),
        (b'{\\r\\n"symbol": "BTCUSDT"\\r\\n}', "broken_body"),
        (b"buy BTCUSDT now", "broken_pair"),
        (b"symbol=BTCUSDT side", "broken_pair"),
        (b"symbol=BTCUSDT =buy", "broken_pair"),
        (b"symbol = BTCUSDT", "broken_pair"),
        (b"symbol='BTCUSDT", "broken_pair"),
        (b"symbol='BTC'USDT", "broken_pair"),
        (b"", "no_data"),
        (b" \r\n", "no_data"),
        (b"\xef\xbb\xbf", "no_data"),
        (b"null", "no_data"),
        (b"{}", "no_data"),
        (b";;&", "no_data"),
        (b'[{"symbol":"BTCUSDT"}]', "not_an_object"),
        (b'"symbol=BTCUSDT"', "not_an_object"),
        (b"12.5", "not_an_object"),
        (b"true", "not_an_object"),
        (b"NaN", "not_an_object"),
        (b"\xff\xfe{\x00}\x00", "not_utf8"),
        (b'{"a":"\\ud800"}', "not_utf8"),
    ],
)
def test_complaint_13_broken_bodies_say_what_is_wrong(body, code):
    """A body that cannot be read is a 400 with a code of its own, never a 500 or an opaque error."""
    error = refusal(body)
    assert (error.status, error.code) == (400, code)


def test_a_broken_body_is_located():
    """A sender gets the line and column of the JSON error, or the wrong pair."""
    assert refusal(b'{"symbol": "BTCUSDT",\n "price": }').values == {
        "line": 2,
        "column": 11,
        "hint": "hint_missing_value",
    }
    assert refusal(b"symbol=BTCUSDT oops").values == {"position": 2}


def test_line_breaks_inside_a_json_string_are_kept():
    """A comment of several lines, which TradingView passes on unescaped, does not break the alert."""
    assert fields.read(b'{"comment":"one\ntwo","side":"buy"}').values["comment"] == "one\ntwo"


@pytest.mark.parametrize("body", [b'{"price": {{close}}}', b"side=buy price={{plot x}}"])
def test_a_placeholder_that_breaks_the_body_is_named(body):
    """A message with an unfilled TradingView placeholder names the placeholder, not a column number."""
    error = refusal(body)
    assert error.code == "placeholder"
    assert error.values["value"].startswith("{{")


@pytest.mark.parametrize(
    "body",
    [
        b'{"side":"buy","side":"buy"}',
        b'{"side":"buy","Side":"buy"}',
        b'{"groupName":"a","group_name":"a"}',
        b"side=buy side=sell",
        b"order-type=MARKET orderType=MARKET",
        b'{"orders":[{"price":1,"price":2}]}',
        b'{"note":1,"NOTE":2}',
    ],
)
def test_a_key_given_twice_is_refused(body):
    """To choose one of two values would be a guess, so the body is refused."""
    assert refusal(body).code == "duplicate_field"


@pytest.mark.parametrize(
    "body",
    [
        b'{"symbol":"BTCUSDT","ticker":"ETHUSDT"}',
        b'{"qty":1,"contracts":"2"}',
        b'{"account":"Main","account_name":"main"}',
        b'{"alert_id":"1","idempotency_key":"2"}',
        b'{"token":"a","secret":"b"}',
        b'{"qty":1,"amount":true}',
        b'{"qty":[1],"amount":[2]}',
    ],
)
def test_aliases_that_disagree_are_refused(body):
    """Two names of one field with different values are a 400 naming both."""
    assert refusal(body).code == "conflicting_fields"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"symbol":"BTCUSDT","ticker":"btcusdt "}', "symbol"),
        (b'{"qty":1,"contracts":"1.0"}', "quantity"),
        (b'{"action":"buy","side":"BUY"}', "side"),
        (b'{"qty":null,"contracts":2}', "quantity"),
        (b'{"price":"","limit_price":2}', "price"),
    ],
)
def test_aliases_that_agree_are_one_field(body, name):
    """Equal aliases, and one that is empty, are no contradiction."""
    assert fields.read(body).values[name] is not None


@pytest.mark.parametrize(
    "key", ["group_name", "groupName", "GroupName", "GROUP_NAME", "group-name", "Group Name", "groupname"]
)
def test_key_spelling_does_not_matter(key):
    """Case, snake_case, camelCase, kebab-case and blanks name the same field."""
    assert fields.read(json.dumps({key: "g"}).encode()).values == {"group_name": "g"}


def test_pairs_are_split_at_the_first_equals_sign_and_nothing_is_decoded():
    """A base64 token and literal percent and plus signs come through as sent."""
    read = fields.read(b"token=ab+c/d== account='A = %41+B' time=2026-01-22T15:30:00+09:00")
    assert read.token == "ab+c/d=="
    assert read.values == {"account": "A = %41+B", "time": "2026-01-22T15:30:00+09:00"}


def test_numbers_keep_every_digit():
    """A JSON number is never a float."""
    read = fields.read(b'{"price":0.123456789012345678901234567890,"qty":12345678901234567890123}')
    assert read.values == {
        "price": Decimal("0.123456789012345678901234567890"),
        "quantity": Decimal(12345678901234567890123),
    }


def test_unknown_keys_are_kept_as_spelled():
    """An unknown key stays, under the sender's own spelling."""
    assert fields.read(b'{"My-RSI":70,"x":{"y":[1]}}').values == {
        "My-RSI": Decimal(70),
        "x": {"y": [Decimal(1)]},
    }


def test_a_plot_without_a_value_does_not_break_an_alert():
    """TradingView fills a plot that has no value with NaN.

    In a field that does not count that refuses nothing.
    """
    assert not fields.read(b'{"side":"buy","rsi":NaN}').values["rsi"].is_finite()


@pytest.mark.parametrize("opening", [b'{"a":', b"["])
def test_deep_nesting_is_refused(opening):
    """Thousands of brackets are a 400, not an exhausted stack."""
    body = b'{"a":' + opening * 9_000
    closed = b'{"a":' + b"[" * 20 + b"]" * 20 + b"}"
    assert refusal(body).code in ("too_deep", "broken_body")
    assert refusal(closed).code == "too_deep"


def test_too_many_fields_are_refused():
    """Hundreds of fields are no signal."""
    assert refusal(json.dumps({f"k{number}": 1 for number in range(300)}).encode()).code == "too_many_fields"


def test_too_large_a_body_is_refused():
    """A body over the limit is a 413 before it is parsed."""
    with pytest.raises(TooLarge) as caught:
        fields.read(b"a=" + b"x" * request_limits.SIGNAL_BYTES)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    "body", [b'{"token":true}', b'{"code":["x"]}', b'{"secret":1.5}', b'{"token":{"a":1}}']
)
def test_a_token_that_is_no_text_is_refused(body):
    """A credential is a text, or digits."""
    assert refusal(body).code == "invalid_text"


def test_credentials_are_kept_apart_and_masked():
    """Neither values, repr nor the log's rendering shows a token, a code or a field with such a name."""
    read = fields.read(
        b'{"secret":"tok-1234567","code":"xc-7654321","passphrase":"open","apiKey":"k","side":"buy",'
        b'"comment":"use tok-1234567","more":{"xc_code":"hidden","list":["xc-7654321"]}}'
    )
    assert (read.token, read.code) == ("tok-1234567", "xc-7654321")
    for shown in (repr(read), read.masked()):
        assert not any(secret in shown for secret in ("tok-1234567", "xc-7654321", "open", '"k"', "hidden"))
        assert '"side": "buy"' in shown
    assert "token" not in read.values
    assert json.loads(read.masked())["secret"] == masking.MASK


@pytest.mark.parametrize(
    "body", [b'{"token":"abc-secret", "side": }', b"token=abc-secret oops", b"{'secret': 'abc-secret'"]
)
def test_an_unreadable_body_is_logged_without_its_credentials(body):
    """The log of a body that could not be read masks what looks like a credential."""
    assert "abc-secret" not in masking.mask_text(body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"groupName":" g "}', "g"),
        (b'{"group_name":7}', "7"),
        (b'{"group_name":[1]}', None),
        (b"a=1", None),
    ],
)
def test_a_text_can_be_looked_up_before_the_signal_is_read(body, text):
    """What names the sender is there before the rest is judged, and an odd value is no crash."""
    assert fields.read(body).text("group_name") == text


@pytest.mark.parametrize(
    ("body", "code", "hint"),
    [
        ('{“symbol”: "BTCUSDT"}', "broken_body", "hint_smart_quote"),
        ('{"symbol": “BTCUSDT”}', "broken_body", "hint_smart_quote"),
        ('{"symbol": "BTCUSDT",}', "broken_body", "hint_trailing_comma"),
        ('{"symbol": "BTCUSDT",\n}', "broken_body", "hint_trailing_comma"),
        ('{"orders": [{"qty_per": 5},]}', "broken_body", "hint_trailing_comma"),
        ('{"price": nan}', "broken_body", "hint_missing_number"),
        ('{"price": N/A}', "broken_body", "hint_missing_number"),
        ("{'symbol': 'BTCUSDT'}", "broken_body", "hint_single_quote"),
        ('{"symbol": None}', "broken_body", "hint_python_word"),
        ('{"reduce_only": True}', "broken_body", "hint_python_word"),
        ('{"symbol": "BTCUSDT" // pair\n}', "broken_body", "hint_comment"),
        ('{"symbol": "BTCUSDT", # pair\n"side": "buy"}', "broken_body", "hint_comment"),
        ('```json\n{"symbol": "BTCUSDT"}\n```', "broken_pair", "hint_code_fence"),
        ('{"symbol": "BTCUSDT"}\n```', "broken_body", "hint_code_fence"),
        ('{"symbol": "BTCUSDT"}{"symbol": "ETHUSDT"}', "broken_body", "hint_two_objects"),
        ('{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}', "broken_body", "hint_two_objects"),
        ('{"symbol": "BTCUSDT"', "broken_body", "hint_ends_early"),
        ('{"symbol": }', "broken_body", "hint_missing_value"),
        ('{"symbol": "BTCUSDT" "side": "buy"}', "broken_body", "hint_missing_comma"),
        ('{symbol: "BTCUSDT"}', "broken_body", "hint_unquoted_key"),
        ('{"symbol": BTCUSDT}', "broken_body", "hint_unquoted_text"),
        ('{\\r\\n"symbol": "BTCUSDT"}', "broken_body", "hint_backslash"),
        ('alert: {"symbol": "BTCUSDT"}', "broken_pair", "hint_text_before_json"),
        ('{"symbol": "{{ticker}}", "price": {{close}}}', "placeholder", None),
    ],
)
def test_a_broken_body_names_its_likely_cause(body, code, hint):
    """What stands at the place of the fault tells; every language has a sentence for it."""
    error = refusal(body.encode())
    assert (error.code, error.values.get("hint")) == (code, hint)
    for language in messages.LANGUAGES:
        told = messages.render(code, error.values, language)
        assert hint is None or messages.catalogue(language)[hint].partition("{")[0] in told
        assert "{field}" not in told


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ('{"a":1}'.encode("utf-16"), "hint_utf16"),
        ('{"a":1}'.encode("utf-16-le"), "hint_utf16"),
        ('{"a":1}'.encode("utf-16").decode("utf-8", "replace").encode(), "hint_utf16"),
        (gzip.compress(b'{"a":1}', mtime=0), "hint_gzip"),
        (gzip.compress(b'{"a":1}', mtime=0).decode("utf-8", "replace").encode(), "hint_gzip"),
        ('{"comment":"é"}'.encode("latin-1"), None),
        ('{"comment":"é"}'.encode("latin-1").decode("utf-8", "replace").encode(), None),
    ],
)
def test_another_encoding_is_named(body, hint):
    """UTF-16 and gzip are named, also if a gateway has replaced the bytes that are not UTF-8."""
    error = refusal(body)
    assert (error.code, error.values.get("hint")) == ("not_utf8", hint)
