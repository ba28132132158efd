"""Properties: whatever is changed in one place of a body, it is the same order or a refusal.

And a close closes.
"""

import json
import os
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.errors import Refused
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import closing, fields, variants
from chalicelib.signals.reading.aliases import CANONICAL
from chalicelib.signals.reading.field_definitions import ALIASES, BY_NAME, FIELDS, TYPE_NAMES, Kind, squash
from chalicelib.signals.reading.trade_words import OTHER_CREDENTIALS, WORDS
from chalicelib.trading import Action, OrderType, Variant

EXAMPLES = int(os.environ.get("METAMORPHIC_EXAMPLES", "300"))
POSITION = {
    "market_position": "long",
    "prev_market_position": "flat",
    "market_position_size": 5,
    "prev_market_position_size": 0,
}
TERMS = {
    "order_type": "limit",
    "price": 45000,
    "stop_loss": 40000,
    "take_profit": 60000,
    "leverage": 1,
    "account": "main",
    "demo": "yes",
}
BODIES: dict[Variant, dict[str, Any]] = {
    Variant.LEGACY: {"symbol": "BTCUSDT", "side": "buy", "market_type": "futures", **TERMS},
    Variant.PERSONAL: {
        "symbol": "BTCUSDT.P",
        "side": "long",
        "contracts": 3,
        "timenow": "2026-01-22T15:30:00Z",
        **TERMS,
        **POSITION,
    },
    Variant.XC: {
        "symbol": "BTCUSDT",
        "side": "buy",
        "exchange": "binance",
        "amount": "0.05",
        "quantity_type": "base",
        **TERMS,
        **POSITION,
    },
    Variant.GROUP: {
        "group_name": "g",
        "exchange": "BINANCE",
        "market_type": "FUTURES",
        "currency": "USDT",
        "symbol": "BTCUSDT",
        "side": "buy",
        "qty_per": 5,
        "reduce_only": "no",
        "position_side": "long",
        **TERMS,
    },
    Variant.PAPER: {
        "symbol": "AAPL",
        "side": "buy",
        "qty": 3,
        "qty_type": "shares",
        "price": 185.5,
        "stop_loss": 170,
        "type": "market",
    },
}
CLOSES: dict[Variant, dict[str, Any]] = {
    Variant.LEGACY: {"symbol": "BTCUSDT", "side": "close"},
    Variant.PERSONAL: {"symbol": "BTCUSDT", "side": "stop"},
    Variant.XC: {"symbol": "BTCUSDT", "side": "exit", "exchange": "binance"},
    Variant.GROUP: {
        "group_name": "g",
        "exchange": "BINANCE",
        "market_type": "FUTURES",
        "symbol": "BTCUSDT",
        "side": "close",
    },
    Variant.PAPER: {"symbol": "AAPL", "side": "close"},
}
REFERENCES = {
    "price",
    "sent_at",
    "max_age_s",
    "idempotency_key",
    "strategy_id",
    "prev_market_position",
    "unknown",
    "variant",
}
"""Fields of a signal that alone decide no order."""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10**19),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["na", "n/a", "5%", "{{plot}}", "BTCUSDT", "short", "long", "LIMIT", "ETHUSDT", "100"]),
)
VALUES = (
    SCALARS
    | st.lists(SCALARS, max_size=2)
    | st.dictionaries(st.text(max_size=4) | st.sampled_from(list(ALIASES)), SCALARS, max_size=2)
)
EMPTY = st.sampled_from(["", None, "  ", [], {}])
KEYS = st.text(max_size=8) | st.sampled_from(
    [name for field in FIELDS for name in (field.name, *field.aliases)]
)


def read(variant: Variant, body: str) -> Signal:
    """Returns the signal of a body, parsed as by every webhook."""
    return variants.read_signal(variant, fields.read(body.encode()))


def order(signal: Signal) -> dict[str, Any]:
    """What decides the order; of a reference price nothing does."""
    shown = signal.model_dump(exclude=REFERENCES)
    shown["symbol"] = signal.symbol.name if signal.symbol else None
    return shown | ({"price": signal.price} if signal.order_type is not OrderType.MARKET else {})


def same_or_refused(variant: Variant, body: str) -> None:
    """The order of the unchanged body, or a refusal."""
    try:
        changed = read(variant, body)
    except Refused:
        return
    assert order(changed) == order(read(variant, json.dumps(BODIES[variant])))


def pairs(body: list[tuple[str, Any]]) -> str:
    """A JSON object out of pairs, of which one key may stand twice."""
    return "{" + ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in body) + "}"


@pytest.mark.parametrize("variant", list(BODIES))
def test_the_bodies_are_valid(variant: Variant) -> None:
    """Every body that is changed below is a signal, and carries its protection."""
    assert read(variant, json.dumps(BODIES[variant])).stop_loss
    assert closing.is_closing(variant, fields.read(json.dumps(CLOSES[variant]).encode()))


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.data(), st.sampled_from(list(BODIES)))
def test_one_value_empty(data: st.DataObject, variant: Variant) -> None:
    """An empty value is never a default that trades something else."""
    name = data.draw(st.sampled_from(list(BODIES[variant])))
    same_or_refused(variant, json.dumps(BODIES[variant] | {name: data.draw(EMPTY)}))


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.data(), st.sampled_from(list(BODIES)))
def test_one_value_of_another_type(data: st.DataObject, variant: Variant) -> None:
    """A value as text, in a list, in an object, in another case or with blanks around is the same value or
    none.
    """
    name = data.draw(st.sampled_from(list(BODIES[variant])))
    value = BODIES[variant][name]
    upper = (
        value if name in ("account", "group_name") else str(value).upper()
    )  # another account may be called so
    changes = [
        str(value),
        [value],
        {"value": value},
        upper,
        f" {value} ",
        f"{value}\n",
        *([] if name == "reduce_only" else [True]),
    ]
    same_or_refused(variant, json.dumps(BODIES[variant] | {name: data.draw(st.sampled_from(changes))}))


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.data(), st.sampled_from(list(BODIES)))
def test_one_key_renamed(data: st.DataObject, variant: Variant) -> None:
    """A key in another spelling is the same key.

    With something before or behind it, or a letter less, it is known or refused.
    """
    name = data.draw(
        st.sampled_from(
            [name for name in BODIES[variant] if name not in ("contracts", "timenow", "prev_market_position")]
        )
    )
    spellings = [
        name.upper(),
        name.title(),
        name.replace("_", "-"),
        name.replace("_", " "),
        f" {name} ",
        name.replace("_", ""),
    ]
    others = [
        f"{name}2",
        f"{name}s",
        f"my_{name}",
        f"{name}_value",
        name[:-1],
        f"\u200b{name}",
        f"{name}\u00a0",
        f"\\n{name}",
        f"{name}\t",
    ]
    key = data.draw(st.sampled_from(spellings + others))
    same_or_refused(
        variant, pairs([(key if each == name else each, value) for each, value in BODIES[variant].items()])
    )


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.data(), st.sampled_from(list(BODIES)), VALUES)
def test_one_key_twice(data: st.DataObject, variant: Variant, value: Any) -> None:
    """The same key again, under any of its names, with any value."""
    name = data.draw(st.sampled_from(list(BODIES[variant])))
    canonical = CANONICAL.get(squash(name), "order_type")
    again = data.draw(st.sampled_from([name, canonical, *ALIASES[canonical]]))
    body = [*BODIES[variant].items(), (again, value)]
    same_or_refused(variant, pairs(data.draw(st.permutations(body))))


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.sampled_from(list(BODIES)), st.text(max_size=10), VALUES)
def test_one_more_key(variant: Variant, key: str, value: Any) -> None:
    """An unknown key changes nothing, or is refused."""
    assume(squash(key) not in CANONICAL and squash(key) not in TYPE_NAMES)
    same_or_refused(variant, pairs([*BODIES[variant].items(), (key, value)]))


@pytest.mark.parametrize("variant", list(BODIES))
def test_one_required_key_dropped(variant: Variant) -> None:
    """What an order cannot be without is never completed by a guess."""
    for name in ("symbol", "side", *(("exchange", "amount") if variant is Variant.XC else ())):
        body = {each: value for each, value in BODIES[variant].items() if each != name}
        with pytest.raises(Refused):
            read(variant, json.dumps(body))


@pytest.mark.parametrize("variant", list(BODIES))
@pytest.mark.parametrize(
    "wrap", [lambda body: {"data": body}, lambda body: [body], lambda body: {"payload": json.dumps(body)}]
)
def test_the_body_wrapped(variant: Variant, wrap: Any) -> None:
    """A relay's wrapping is refused."""
    with pytest.raises(Refused):
        read(variant, json.dumps(wrap(BODIES[variant])))


@pytest.mark.parametrize("variant", list(BODIES))
def test_every_word_in_three_spellings(variant: Variant) -> None:
    """Each word of a key that would change the trade refuses an opening signal."""
    known = {squash(name) for field in FIELDS for name in (field.name, *field.aliases)}
    for kind, words in WORDS.items():
        for word in words:
            for key in (word, f"My-{word.title()}", f"{word}_x", f"the {word.upper()}"):
                if squash(key) in known | OTHER_CREDENTIALS or squash(key) in ("close", "type"):
                    continue
                with pytest.raises(Refused) as caught:
                    read(variant, json.dumps(BODIES[variant] | {key: 1}))
                assert caught.value.code == "unknown_field", (kind, key)


def is_garbage(key: str, value: Any) -> bool:
    """Whether a key names neither the position nor the action, and makes no cancel."""
    name = CANONICAL.get(squash(key))
    decides = name in closing._NAMING or name in ("side", "market_position")
    return not decides and not (isinstance(value, str) and squash(value.strip()) == squash(Action.CANCEL_ALL))


GARBAGE = st.lists(st.tuples(KEYS, VALUES).filter(lambda pair: is_garbage(*pair)), max_size=8)


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.sampled_from(list(CLOSES)), GARBAGE, st.booleans())
def test_a_close_with_any_garbage_closes(
    variant: Variant, garbage: list[tuple[str, Any]], twice: bool
) -> None:
    """Any field that does not name the position, with any value, any number of times."""
    body = [*CLOSES[variant].items(), *garbage, *(garbage if twice else [])]
    signal = read(variant, pairs(body))
    closes = (Action.CLOSE, Action.STOP, *((Action.SELL,) if variant is Variant.PAPER else ()))
    assert signal.action in closes
    assert signal.symbol == read(variant, json.dumps(CLOSES[variant])).symbol
    assert (signal.market_type, signal.exchange, signal.account, signal.group_name) == tuple(
        getattr(read(variant, json.dumps(CLOSES[variant])), name)
        for name in ("market_type", "exchange", "account", "group_name")
    )


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.sampled_from(list(CLOSES)), GARBAGE, st.sampled_from(["buy", "sell", "long", "{{x}}", "", None, 5]))
def test_flat_with_any_garbage_closes(variant: Variant, garbage: list[tuple[str, Any]], side: Any) -> None:
    """An order that leads to flat is a close, whatever its side and everything else."""
    body = CLOSES[variant] | {"side": side, "market_position": "flat"}
    assert read(variant, pairs([*body.items(), *garbage])).action is Action.CLOSE


def test_every_field_has_a_meaning_and_a_reader() -> None:
    """The table has no field that no webhook reads, and no name twice."""
    names = [squash(name) for field in FIELDS for name in (field.name, *field.aliases)]
    assert all(field.meaning and field.variants for field in FIELDS)
    assert len(names) - len(set(names)) == 0
    assert {field.kind for field in BY_NAME.values()} == set(Kind)
