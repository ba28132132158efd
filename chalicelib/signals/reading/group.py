"""Reads group signals: single, batch and cancel, for all of a strategy's accounts.

Contract §1 'Group fields'.
"""

from decimal import Decimal
from typing import Any

from chalicelib import request_limits, symbols
from chalicelib.errors import Refused
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import opening, presented, terms
from chalicelib.signals.reading.field_definitions import BY_NAME, squash
from chalicelib.signals.reading.fields import Fields
from chalicelib.signals.reading.values import Reader
from chalicelib.trading import Action, Leg, OrderType, Variant

REQUIRED = ("group_name", "exchange", "market_type", "currency", "symbol", "order_type", "side")
"""All but `token`: authentication comes first, and a token may be outside the body."""

WHOLE = Decimal(100)
"""In percent. Also the default of `qty_per`."""

_FILTERS = ("exchange", "market_type", "symbol", "account")
_CANCEL_FIELDS = frozenset(
    {"group_name", "order_type", "idempotency_key", "timestamp", "timenow", "max_lag", "max_age", *_FILTERS}
)
_PERCENT_UNIT = dict.fromkeys(("percent", "percent_of_equity", "percent_of_balance"), True)
_LEG_FIELDS = frozenset({"price", "stop_price", "qty_per"})


def read(fields: Fields) -> Signal:
    """Reads a group signal.

    Args:
        fields: The body.

    Raises:
        Refused: The error names the field, see `docs/errors.md`.
    """
    reader = Reader(fields)
    _require(reader)
    if reader.given("quantity") and not reader.sent("qty_per") and not reader.sent("orders"):
        raise Refused("quantity_without_percent", field=reader.shown("quantity"))
    opening.check_fields(fields, Variant.GROUP, besides=("orders",))
    if reader.given("quantity_type") and not reader.given("quantity"):
        reader.choice("quantity_type", _PERCENT_UNIT)
    order_type = reader.needed("order_type", terms.ORDER_TYPES)
    exchange = terms.exchange(reader)
    market_type = reader.choice("market_type", terms.MARKET_TYPES)
    currency = (reader.text("currency") or "").upper()
    symbol = symbols.resolve(reader.text("symbol") or "", market_type, currency)
    symbols.check_exchange(symbol, exchange)
    batch = reader.sent("orders")
    sized = {"legs": _legs(reader, order_type)} if batch else _single(reader, order_type)
    signal = Signal(
        variant=Variant.GROUP,
        action=reader.needed("side", terms.ACTIONS),
        symbol=symbol,
        market_type=market_type,
        order_type=order_type,
        exchange=exchange,
        currency=currency,
        group_name=reader.text("group_name"),
        account=reader.text("account"),
        strategy_id=reader.text("strategy_id"),
        batch=batch,
        **sized,
        **terms.order_terms(reader),
        **terms.common(reader),
        unknown=reader.unknown(),
    )
    terms.check_stop_loss(signal)
    return signal


def _require(reader: Reader) -> None:
    """Raises for missing fields. A body that may be meant as a paper signal gets the deciding field.

    Raises:
        Refused: `missing_field`, `makes_group_signal`.
    """
    missing = [name for name in REQUIRED if not reader.given(name)]
    marks = [name for name in ("order_type", "market_type", "qty_per", "orders") if reader.spelled(name)]
    if len(missing) > 1 and "group_name" in missing and not reader.sent("group_name") and marks:
        raise Refused("makes_group_signal", field=reader.shown(marks[0]), missing=", ".join(missing))
    reader.require(*REQUIRED)


def _single(reader: Reader, order_type: OrderType) -> dict[str, Any]:
    given = terms.prices(reader, order_type)
    limit = given["price"] if order_type in terms.WITH_LIMIT else None
    percent = reader.number("qty_per", largest=WHOLE) if reader.sent("qty_per") else WHOLE
    leg = Leg(percent=percent, price=limit, stop_price=given["stop_price"])
    return {**given, "legs": (leg,)}


def _legs(reader: Reader, order_type: OrderType) -> tuple[Leg, ...]:
    orders = reader.raw("orders")
    if not isinstance(orders, list) or not orders or not all(isinstance(order, dict) for order in orders):
        raise Refused("invalid_orders", field=reader.shown("orders"))
    if len(orders) > request_limits.BATCH_ORDERS:
        raise Refused("too_many_orders", limit=request_limits.BATCH_ORDERS)
    for name in ("price", "stop_price", "qty_per"):
        if reader.given(name):
            raise Refused("not_beside_orders", field=reader.shown(name))
    return tuple(
        _leg(Fields(order.items()), f"orders[{index}].", order_type) for index, order in enumerate(orders)
    )


def _leg(fields: Fields, prefix: str, order_type: OrderType) -> Leg:
    reader = Reader(fields, prefix)
    fields.check()
    for _, key in fields.odd_keys:
        raise Refused("unknown_field", field=prefix + fields.shown(key), hint="hint_odd_key")
    for name in fields.values:
        if name not in BY_NAME:
            opening.check_unknown(fields, Variant.GROUP, name, prefix)
    for name in reader.known_beyond(_LEG_FIELDS):
        # An ignored side or quantity would lead to another trade than requested.
        raise Refused("not_in_orders", field=reader.shown(name))
    reader.require("qty_per")
    if order_type not in terms.WITH_LIMIT and reader.given("price"):
        raise Refused("not_for_order_type", field=reader.shown("price"), order_type=order_type.value.upper())
    return Leg(percent=reader.number("qty_per", largest=WHOLE), **terms.prices(reader, order_type))


def is_cancel(fields: Fields) -> bool:
    """Returns whether a body cancels orders."""
    value = fields.values.get("order_type")
    return isinstance(value, str) and squash(value.strip()) == squash(Action.CANCEL_ALL)


def read_cancel(fields: Fields) -> Signal:
    """Reads a cancel. Unknown fields are refused, because ignoring a filter would widen the cancel.

    Raises:
        Refused: `unknown_filter`, `empty_filter`, and the refusals of any field.
    """
    fields.check()
    reader = Reader(fields)
    reader.raw("order_type")
    reader.require("group_name")
    for name in reader.names():
        if squash(name) in presented.NAMES:
            continue  # a credential is no filter, and it has been verified
        if name not in _CANCEL_FIELDS:
            raise Refused("unknown_filter", field=reader.shown(name), allowed=", ".join(_FILTERS))
        if name in _FILTERS and not reader.given(name):
            # An empty filter may be an unfilled template. Cancelling everything would go too far.
            raise Refused("empty_filter", field=reader.shown(name))
    exchange = terms.exchange(reader)
    market_type = reader.choice("market_type", terms.MARKET_TYPES)
    named = reader.text("symbol")
    symbol = symbols.resolve(named, market_type) if named else None
    return Signal(
        variant=Variant.GROUP,
        action=Action.CANCEL_ALL,
        symbol=symbol,
        market_type=market_type,
        exchange=exchange,
        group_name=reader.text("group_name"),
        account=reader.text("account"),
        **terms.common(reader),
    )
