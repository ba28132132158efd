"""Group signals: single, batch and cancel, for all of a strategy's accounts. Contract §1 'Group fields'."""

from decimal import Decimal
from typing import Any

from chalicelib import limits
from chalicelib.errors import Refused
from chalicelib.signals import presented, symbols, terms
from chalicelib.signals.fields import Fields
from chalicelib.signals.models import Signal
from chalicelib.signals.spelling import squash
from chalicelib.signals.values import Reader
from chalicelib.trading import Action, Leg, OrderType, Variant

REQUIRED = ("group_name", "exchange", "market_type", "currency", "symbol", "order_type", "side")
"""All but `token`: who may send is asked before what is sent, and a token need not be in the body."""

WHOLE = Decimal(100)
"""Percent, and what `qty_per` is when it is not sent."""

_CANCELS = {**dict.fromkeys(terms.ORDER_TYPES, False), Action.CANCEL_ALL.value: True}
_FILTERS = ("exchange", "market_type", "symbol")
_CANCEL_FIELDS = frozenset({"group_name", "order_type", "idempotency_key", "timestamp", "timenow", "max_lag", "max_age", *_FILTERS})
_LEG_FIELDS = frozenset({"price", "stop_price", "qty_per"})


def read(fields: Fields) -> Signal:
    """Reads a group signal.

    Args:
        fields: The body.

    Raises:
        Refused: Naming the field, see `docs/errors.md`.
    """
    reader = Reader(fields)
    if reader.choice("order_type", _CANCELS):
        return _cancel(reader)
    reader.require(*REQUIRED)
    order_type = reader.needed("order_type", terms.ORDER_TYPES)
    exchange = terms.exchange(reader)
    market_type = reader.choice("market_type", terms.MARKET_TYPES)
    currency = (reader.text("currency") or "").upper()
    symbol = symbols.resolve(reader.text("symbol") or "", market_type, currency)
    symbols.check_exchange(symbol, exchange)
    if reader.given("quantity") and not reader.given("qty_per"):
        raise Refused("quantity_without_percent", field=reader.shown("quantity"))
    batch = reader.given("orders")
    sized = {"legs": _legs(reader, order_type)} if batch else _single(reader, order_type)
    return Signal(
        variant=Variant.GROUP,
        action=reader.needed("side", terms.ACTIONS),
        symbol=symbol,
        market_type=market_type,
        order_type=order_type,
        exchange=exchange,
        currency=currency,
        group_name=reader.text("group_name"),
        batch=batch,
        **sized,
        **terms.order_terms(reader),
        **terms.common(reader),
        unknown=reader.unknown(),
    )


def _single(reader: Reader, order_type: OrderType) -> dict[str, Any]:
    given = terms.prices(reader, order_type)
    limit = given["price"] if order_type in terms.WITH_LIMIT else None
    leg = Leg(percent=reader.number("qty_per", largest=WHOLE) or WHOLE, price=limit, stop_price=given["stop_price"])
    return {**given, "legs": (leg,)}


def _legs(reader: Reader, order_type: OrderType) -> tuple[Leg, ...]:
    orders = reader.raw("orders")
    if not isinstance(orders, list) or not orders or not all(isinstance(order, dict) for order in orders):
        raise Refused("invalid_orders", field=reader.shown("orders"))
    if len(orders) > limits.BATCH_ORDERS:
        raise Refused("too_many_orders", limit=limits.BATCH_ORDERS)
    for name in ("price", "stop_price", "qty_per"):
        if reader.given(name):
            raise Refused("not_beside_orders", field=reader.shown(name))
    return tuple(_leg(Reader(Fields(order.items()), f"orders[{index}]."), order_type) for index, order in enumerate(orders))


def _leg(reader: Reader, order_type: OrderType) -> Leg:
    for name in reader.known_beyond(_LEG_FIELDS):
        # Ignoring a side or a quantity of its own would trade something else than was asked for.
        raise Refused("not_in_orders", field=reader.shown(name))
    reader.require("qty_per")
    if order_type not in terms.WITH_LIMIT and reader.given("price"):
        raise Refused("not_for_order_type", field=reader.shown("price"), order_type=order_type.value.upper())
    return Leg(percent=reader.number("qty_per", largest=WHOLE), **terms.prices(reader, order_type))


def _cancel(reader: Reader) -> Signal:
    reader.require("group_name")
    for name in reader.names():
        if squash(name) in presented.NAMES:
            continue  # a credential narrows nothing; it has been checked
        if name not in _CANCEL_FIELDS:
            raise Refused("unknown_filter", field=reader.shown(name), allowed=", ".join(_FILTERS))
        if name in _FILTERS and not reader.given(name):
            # An empty filter may be a template that was not filled: cancelling everything instead would be too much.
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
        **terms.common(reader),
    )
