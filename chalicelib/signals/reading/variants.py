"""Parses named values into a `Signal`: the variant of a body, and the meaning of its fields. Pure.

Contract §1.
"""

from chalicelib import symbols
from chalicelib.errors import Refused
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import closing, group, opening, sizes, terms
from chalicelib.signals.reading.closing import DEFAULT_PAPER_SIZE
from chalicelib.signals.reading.fields import Fields
from chalicelib.signals.reading.values import Reader
from chalicelib.trading import Action, OrderType, Variant

GROUP_MARKS = ("group_name", "order_type", "market_type", "qty_per", "orders")
"""Each of these makes a body on `POST /api/webhook` a group signal.

Every spelling counts, aliases do not.
"""


def variant_of_api_webhook(fields: Fields) -> Variant:
    """Returns which of the two variants on `POST /api/webhook` a body is."""
    return Variant.GROUP if any(fields.spelled(mark) for mark in GROUP_MARKS) else Variant.PAPER


def read_signal(variant: Variant, fields: Fields) -> Signal:
    """Parses a body into a signal.

    Closing signals are recognised first and have a reader of their own. Credentials are not verified here.

    Args:
        variant: The variant of the route, see `variant_of_api_webhook`.
        fields: The body.

    Raises:
        Refused: A field is missing or invalid. `docs/errors.md` lists the codes.
    """
    if variant is Variant.GROUP and group.is_cancel(fields):
        return group.read_cancel(fields)
    if closing.is_closing(variant, fields):
        return closing.read(variant, fields)
    opening.check_url(fields, variant)
    if variant is Variant.GROUP:
        return group.read(fields)
    if variant is Variant.PAPER:
        return _paper(fields)
    return _plain(variant, fields)


def _paper(fields: Fields) -> Signal:
    reader = Reader(fields)
    reader.require("symbol", "side", "price")
    opening.check_fields(fields, Variant.PAPER)
    reader.choice(
        "order_type", {OrderType.MARKET.value: OrderType.MARKET}
    )  # a limit must not become a market order
    price = reader.number("price")
    size = sizes.read(reader, DEFAULT_PAPER_SIZE)
    sizes.check_value(size, price)
    if reader.given("stop_price"):
        raise Refused(
            "not_for_order_type", field=reader.shown("stop_price"), order_type=OrderType.MARKET.value.upper()
        )
    signal = Signal(
        variant=Variant.PAPER,
        action=reader.needed("side", terms.PAPER_ACTIONS),
        symbol=symbols.resolve(reader.text("symbol") or "", paper=True),
        size=size,
        price=price,
        account=reader.text("account"),
        strategy_id=reader.text("strategy_id"),
        **terms.order_terms(reader),
        **terms.common(reader),
        unknown=reader.unknown(),
    )
    terms.check_stop_loss(signal)
    return _paper_reduction(signal, reader)


def _paper_reduction(signal: Signal, reader: Reader) -> Signal:
    """Returns a sale for a `long` that leaves a smaller position. Other signals are unchanged."""
    directed = signal.model_copy(update={"action": reader.choice("side", terms.DIRECTIONS) or signal.action})
    return (
        signal.model_copy(update={"action": Action.SELL, "reduce_only": True}) if directed.shrinks else signal
    )


def _plain(variant: Variant, fields: Fields) -> Signal:
    """Parses a legacy, personal or xc signal: one order, sized by the user's settings or by a quantity."""
    reader = Reader(fields)
    xc, sized = variant is Variant.XC, variant in (Variant.XC, Variant.MANUAL)
    reader.require(
        *(("exchange",) if xc else ()),
        "symbol",
        "side",
        *(("quantity",) if sized and not reader.sent("quantity") else ()),
    )
    opening.check_fields(fields, variant)
    action = reader.needed("side", terms.ACTIONS)
    order_type = terms.order_type(reader)
    market_type = reader.choice("market_type", terms.MARKET_TYPES)
    # Legacy and personal signals trade where the user's settings say. Their `exchange` is often that of the
    # TradingView chart.
    exchange = terms.exchange(reader) if sized else None
    symbol = symbols.resolve(reader.text("symbol") or "", market_type)
    symbols.check_exchange(symbol, exchange)
    size = sizes.read(reader) if sized else None
    prices = terms.prices(reader, order_type)
    sizes.check_value(size, prices["price"])
    order_terms = terms.order_terms(reader)
    if xc:
        order_terms["demo"] = order_terms["demo"] is not False  # only an explicit NO trades live
    signal = Signal(
        variant=variant,
        action=action,
        symbol=symbol,
        market_type=market_type,
        order_type=order_type,
        size=size,
        **prices,
        **order_terms,
        exchange=exchange,
        account=reader.text("account"),
        strategy_id=reader.text("strategy_id"),
        **terms.common(reader),
        unknown=reader.unknown(),
    )
    terms.check_stop_loss(signal)
    return signal
