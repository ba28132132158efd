"""From named values to a `Signal`: which variant a body is, and what each variant's fields mean. Contract §1. Pure."""

from decimal import Decimal

from chalicelib.signals import group, symbols, terms
from chalicelib.signals.fields import Fields
from chalicelib.signals.models import Signal
from chalicelib.signals.values import Reader
from chalicelib.trading import Action, OrderType, Variant

GROUP_MARKS = ("group_name", "order_type", "market_type", "qty_per", "orders")
"""Any of these makes a body on `POST /api/webhook` a group signal."""

DEFAULT_PAPER_QUANTITY = Decimal(100)
"""Base units, or shares: what a paper signal without `qty` trades, by its seed."""

_CLOSING = (Action.CLOSE, Action.STOP)


def variant_of_api_webhook(fields: Fields) -> Variant:
    """Which of the two variants on `POST /api/webhook` a body is."""
    return Variant.GROUP if any(mark in fields for mark in GROUP_MARKS) else Variant.PAPER


def read_signal(variant: Variant, fields: Fields) -> Signal:
    """Reads what a body asks for.

    Whether its token or code is right is not asked here.

    Args:
        variant: By the route it came in on, see `variant_of_api_webhook`.
        fields: The body.

    Raises:
        Refused: A field is missing or cannot be meant so; `docs/errors.md` lists the codes.
    """
    if variant is Variant.GROUP:
        return group.read(fields)
    if variant is Variant.PAPER:
        return _paper(fields)
    return _plain(variant, fields)


def _paper(fields: Fields) -> Signal:
    reader = Reader(fields)
    reader.require("symbol", "side", "price")
    return Signal(
        variant=Variant.PAPER,
        action=reader.needed("side", terms.PAPER_ACTIONS),
        symbol=symbols.resolve(reader.text("symbol") or ""),
        quantity=reader.number("quantity") or DEFAULT_PAPER_QUANTITY,
        price=reader.number("price"),
        account=reader.text("account"),
        **terms.common(reader),
        unknown=reader.unknown(),
    )


def _plain(variant: Variant, fields: Fields) -> Signal:
    """Legacy, personal, xc, and orders placed by hand: one order, sized by the owner's settings or by a quantity."""
    reader = Reader(fields)
    xc, sized = variant is Variant.XC, variant in (Variant.XC, Variant.MANUAL)
    reader.require(*(("exchange",) if xc else ()), "symbol", "side")
    action = reader.needed("side", terms.ACTIONS)
    if sized and action not in _CLOSING:
        reader.require("quantity")
    order_type = reader.choice("order_type", terms.ORDER_TYPES) or OrderType.MARKET
    market_type = reader.choice("market_type", terms.MARKET_TYPES)
    # Legacy and personal signals go where the owner's settings say; their `exchange` is often TradingView's, of the chart.
    exchange = terms.exchange(reader) if sized else None
    symbol = symbols.resolve(reader.text("symbol") or "", market_type)
    symbols.check_exchange(symbol, exchange)
    quantity = reader.number("quantity") if sized else None
    order_terms = terms.order_terms(reader)
    if xc:
        order_terms["demo"] = order_terms["demo"] is not False  # only an explicit NO trades live
    return Signal(
        variant=variant,
        action=action,
        symbol=symbol,
        market_type=market_type,
        order_type=order_type,
        quantity=None if action in _CLOSING else quantity,
        **terms.prices(reader, order_type),
        **order_terms,
        exchange=exchange,
        account=reader.text("account"),
        strategy_id=reader.text("strategy_id"),
        **terms.common(reader),
        unknown=reader.unknown(),
    )
