"""Properties of the whole way from bytes to a signal."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import chalicelib
from chalicelib.errors import Refused
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import field_definitions, fields, variants
from chalicelib.signals.reading.aliases import ALIASES
from chalicelib.signals.reading.values import LARGEST, MAX_DIGITS, SMALLEST
from chalicelib.trading import Action, Variant

# No digits first: JSON has no other spelling for a text, and 1.0 as a name is not 1.
NAMES = st.text("abcXYZ019.-:가策", max_size=12).map("n".__add__)
PLAIN_NUMBERS = st.decimals("0.00000001", "99999999", places=8).map(lambda number: f"{number.normalize():f}")

BODIES = {
    Variant.PAPER: {
        "symbol": st.sampled_from(["AAPL", "BTCUSDT", "BTC/USDT"]),
        "side": st.sampled_from(["buy", "short", "sell_to_close"]),
    },
    Variant.PERSONAL: {
        "symbol": st.sampled_from(["BTCUSDT.P", "ETH-USDT"]),
        "side": st.sampled_from(["buy", "close", "long"]),
    },
    Variant.XC: {
        "symbol": st.just("BINANCE:BTCUSDT"),
        "side": st.sampled_from(["buy", "sell", "stop"]),
        "exchange": st.sampled_from(["binance", "okx"]),
        "quantity": PLAIN_NUMBERS,
        "demo": st.sampled_from(["yes", "no"]),
        "strategy_id": NAMES,
    },
    Variant.GROUP: {
        "group_name": NAMES,
        "exchange": st.sampled_from(["binance", "bybit"]),
        "market_type": st.sampled_from(["spot", "futures"]),
        "currency": st.just("USDT"),
        "symbol": st.just("BTCUSDT"),
        "order_type": st.sampled_from(["stop_limit", "limit"]),
        "side": st.sampled_from(["sell", "long"]),
        "qty_per": st.integers(1, 100).map(str),
    },
}
COMMON = {
    "price": PLAIN_NUMBERS,
    "idempotency_key": NAMES,
    "account": NAMES,
    "timenow": st.just("2026-01-22T15:30:00Z"),
}
NUMERIC = {"price", "stop_price", "quantity", "qty_per"}
JSON_NUMBER = re.compile(r"(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
CASELESS = {"side", "exchange", "market_type", "currency", "order_type", "demo", "symbol"}


@st.composite
def canonical(draw) -> tuple[Variant, dict[str, str]]:
    """A valid signal with every name and value in its canonical spelling."""
    variant = draw(st.sampled_from(list(BODIES)))
    body = {name: draw(values) for name, values in {**BODIES[variant], **COMMON}.items()}
    if variant is Variant.GROUP:
        del body["account"]
        if body["order_type"] == "stop_limit":
            body["stop_price"] = draw(PLAIN_NUMBERS)
    return variant, body


STYLES = [
    str,
    str.upper,
    lambda name: name.replace("_", "-"),
    lambda name: re.sub(r"_(\w)", lambda found: found.group(1).upper(), name),
    lambda name: name.title().replace("_", ""),
]


@st.composite
def respelled(draw, body: dict[str, str]) -> bytes:
    """The same signal in another spelling and form."""
    as_json = draw(st.booleans())
    pairs = []
    for name in draw(st.permutations(list(body))):
        # `limit_price` is no mere alias of `price`: without an order type it is refused.
        aliases = [alias for alias in ALIASES[name] if alias != "limit_price"]
        key = draw(st.sampled_from(STYLES))(draw(st.sampled_from([name, *aliases])))
        if as_json and draw(st.booleans()):
            key = key.replace("_", " ")
        value = body[name]
        if name in NUMERIC:
            value = draw(
                st.sampled_from(
                    [value, f"{Decimal(value):e}", f"{value}0" if "." in value else f"{value}.00"]
                )
            )
        elif name in CASELESS:
            value = draw(st.sampled_from([value, value.upper(), value.lower()]))
        pairs.append((key, value))
    end = draw(st.sampled_from(["", "\n", "\r\n", "  "]))
    bom = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    if as_json:
        bare = draw(st.booleans())
        shown = (
            f"{json.dumps(key)}:{value if bare and JSON_NUMBER.fullmatch(value) else json.dumps(value)}"
            for key, value in pairs
        )
        return bom + ("{" + ", ".join(shown) + "}" + end).encode()
    quote = draw(st.sampled_from(["", "'", '"']))
    return (
        bom
        + (
            draw(st.sampled_from([" ", "\n", ";", "&", " ; "])).join(
                f"{key}={quote}{value}{quote}" for key, value in pairs
            )
            + end
        ).encode()
    )


def read(variant: Variant, body: bytes) -> dict:
    """The signal without what keeps the sender's spelling."""
    signal = variants.read_signal(variant, fields.read(body))
    kept_as_sent = (
        {"unknown": True} if signal.action in (Action.CLOSE, Action.STOP) else {}
    )  # a close reads none of it
    return signal.model_dump(exclude={"symbol": {"raw"}, **kept_as_sent})


@settings(deadline=None)
@given(st.data())
def test_any_spelling_of_a_signal_reads_alike(data):
    """Key style, alias, order, JSON or connection string, quotes, number form, line ends: one signal."""
    variant, body = data.draw(canonical())
    assert read(variant, data.draw(respelled(body))) == read(variant, json.dumps(body).encode())


SOUP = st.lists(
    st.sampled_from(
        [
            *(
                "{",
                "}",
                "[",
                "]",
                ":",
                ",",
                "=",
                ";",
                "&",
                " ",
                "\n",
                '"',
                "'",
                "{{close}}",
                "\\u0000",
                "\\ud800",
                "\ufeff",
            ),
            *(
                '"symbol"',
                '"side"',
                '"price"',
                '"orders"',
                '"order_type"',
                '"CANCEL_ALL_ORDER"',
                '"qty_per"',
                '"token"',
                '"timestamp"',
            ),
            *(
                "symbol=",
                "side=",
                "price=",
                "command=",
                "demo=",
                "code=",
                "BTCUSDT",
                "buy",
                "1",
                "-1e999",
                "NaN",
                "null",
                "true",
                "1e400",
            ),
            *("9" * 40, "0.", "٣", "2026-01-22T15:30:00Z", "group_name", "xc"),
        ]
    ),
    max_size=40,
).map("".join)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["BTCUSDT", "buy", "MARKET", "BINANCE", "SPOT"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(list(ALIASES)) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
JSON_BODIES = st.dictionaries(
    st.sampled_from([*ALIASES, "ticker", "Order Type", "x"]), JSON_VALUES, max_size=12
).map(json.dumps)


@settings(deadline=None)
@given(
    st.one_of(st.binary(max_size=200), SOUP.map(str.encode), JSON_BODIES.map(str.encode)),
    st.sampled_from(list(Variant)),
)
@example(b'{"a":' + b"[" * 60_000, Variant.PAPER)
@example(b'{"price":' + b"9" * 60_000 + b',"symbol":"A","side":"buy"}', Variant.PAPER)
@example(b"price=" + b"9" * 60_000 + b" symbol=A side=buy", Variant.PAPER)
@example(b"{{" * 30_000, Variant.PAPER)
@example(b'{"symbol":"AAPL","side":"buy","price":1,"x":1e999999999,"y":1e-999999999,"z":NaN}', Variant.PAPER)
def test_complaint_13_no_bytes_whatever_are_more_than_refused(body, variant):
    """Whatever arrives is a signal that can be stored and shown, or a refusal; never another exception."""
    try:
        read_fields = fields.read(body)
        read_fields.masked()
        variants.variant_of_api_webhook(read_fields)
        signal = variants.read_signal(variant, read_fields)
    except Refused:
        return
    stored = signal.model_dump_json().encode()
    assert Signal.model_validate_json(stored).symbol == signal.symbol


@settings(deadline=None)
@given(
    st.text("0123456789", min_size=1, max_size=40),
    st.text("0123456789", max_size=40),
    st.integers(-20, 20),
    st.booleans(),
)
def test_no_accepted_number_loses_a_digit(whole, fraction, exponent, quoted):
    """A price is exactly the number that was written, or it is refused."""
    number = f"{whole.lstrip('0') or '0'}{'.' if fraction else ''}{fraction}e{exponent}"
    body = f'{{"symbol":"AAPL","side":"buy","qty":1e-18,"price":{json.dumps(number) if quoted else number}}}'
    exact = Decimal(number)
    significant = "".join(map(str, exact.as_tuple().digits)).strip("0")
    if not SMALLEST <= exact <= LARGEST or len(significant) > MAX_DIGITS:
        with pytest.raises(Refused, match=r"out_of_range|too_many_digits|must_be_positive"):
            variants.read_signal(Variant.PAPER, fields.read(body.encode()))
        return
    price = variants.read_signal(Variant.PAPER, fields.read(body.encode())).price
    assert price == exact
    assert len(price.as_tuple().digits) <= MAX_DIGITS


def test_the_documented_fields_are_the_parsers():
    """The table of docs/signals.md is the one that the definitions give."""
    page = (Path(chalicelib.__file__).parents[1] / "docs" / "signals.md").read_text(encoding="utf-8")
    assert field_definitions.table() in page
