"""The senders' vocabulary, and the parts of a signal that all variants share. Contract §1."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from chalicelib import config, request_limits
from chalicelib.errors import Refused
from chalicelib.execution import protective_orders
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import exits
from chalicelib.signals.reading.values import Reader
from chalicelib.trading import Action, MarketType, OnExpiry, OrderType, PositionSide, TimeInForce

ACTIONS = {
    "buy": Action.BUY,
    "sell": Action.SELL,
    "long": Action.LONG,
    "short": Action.SHORT,
    "close": Action.CLOSE,
    "exit": Action.CLOSE,
    "stop": Action.STOP,
}
PAPER_ACTIONS = {
    **dict.fromkeys(("buy", "long", "buy_to_open"), Action.BUY),
    **dict.fromkeys(("sell", "short", "sell_to_close", "close"), Action.SELL),
}
"""The paper seed's table: `close` sells. Paper signals do not separate position and order."""

DIRECTIONS = {
    word: Action(word) if word in ("long", "short") else None for word in (*ACTIONS, *PAPER_ACTIONS)
}
"""The directions among the words of both tables. None for a word that is an order side."""

MARKET_TYPES = {"spot": MarketType.SPOT, "futures": MarketType.FUTURES}
ORDER_TYPES = {order_type.value: order_type for order_type in OrderType}
POSITIONS = {position: position for position in ("long", "short", "flat")}

WITH_LIMIT = (OrderType.LIMIT, OrderType.STOP_LIMIT)
WITH_STOP = (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)

SIDES = {side.value: side for side in PositionSide}
MOST_LEVERAGE = 125
_WHOLE = Decimal(100)
_DELAYED = re.compile(r"_dly?$")


def common(reader: Reader) -> dict[str, Any]:
    """Returns the fields of an opening signal about itself.

    Its time, its maximum age, its key, TradingView's positions and their sizes.
    """
    return {
        "sent_at": _sent_at(reader),
        "max_age_s": min(filter(None, (reader.number("max_lag"), reader.number("max_age"))), default=None),
        "idempotency_key": reader.text("idempotency_key"),
        "market_position": reader.choice("market_position", POSITIONS),
        "prev_market_position": reader.choice("prev_market_position", POSITIONS),
        "market_position_size": reader.number("market_position_size", zero=True),
        "prev_market_position_size": reader.number("prev_market_position_size", zero=True),
    }


def of_closing(reader: Reader) -> dict[str, Any]:
    """Returns the same fields of a closing signal, as far as readable. None of them refuses the signal."""
    read = reader.optional
    return {
        "sent_at": read(lambda _: _sent_at(reader), "timestamp"),
        "idempotency_key": read(reader.text, "idempotency_key"),
        "market_position": read(lambda name: reader.choice(name, POSITIONS), "market_position"),
        "prev_market_position": read(lambda name: reader.choice(name, POSITIONS), "prev_market_position"),
    }


def order_terms(reader: Reader) -> dict[str, Any]:
    """Returns the terms of an order: demo only, time in force, reduce only, exits, time limits, leverage.

    Planning checks whether a risk has a stop-loss, because a sale on spot needs none.
    """
    return {
        "demo": reader.flag("demo"),
        "time_in_force": reader.choice("time_in_force", {term.value: term for term in TimeInForce}),
        "reduce_only": reader.flag("reduce_only") or False,
        "post_only": reader.flag("post_only") or False,
        **exits.read(reader),
        **_risk(reader),
        **_time_limits(reader),
        "leverage": reader.whole("leverage", MOST_LEVERAGE),
        "position_side": reader.choice("position_side", SIDES),
    }


def order_type(reader: Reader) -> OrderType:
    """Returns the order type. Market if the body has neither an order type nor a limit.

    Raises:
        Refused: `missing_field` for a `limit_price` without an order type, which would fill at market.
    """
    if reader.spelled("limit_price"):
        reader.require("order_type")
    return reader.choice("order_type", ORDER_TYPES) or OrderType.MARKET


def prices(reader: Reader, order_type: OrderType) -> dict[str, Any]:
    """Returns `price` and `stop_price`, as the order type requires.

    Raises:
        Refused: `missing_field`; `not_for_order_type` for a limit or stop price that the order would not
            use.
    """
    if order_type not in WITH_LIMIT and reader.spelled("limit_price"):
        raise Refused("not_for_order_type", field="limit_price", order_type=order_type.value.upper())
    reader.require(
        *(("price",) if order_type in WITH_LIMIT else ()),
        *(("stop_price",) if order_type in WITH_STOP else ()),
    )
    if order_type not in WITH_STOP and reader.given("stop_price"):
        raise Refused(
            "not_for_order_type", field=reader.shown("stop_price"), order_type=order_type.value.upper()
        )
    return {"price": reader.number("price"), "stop_price": reader.number("stop_price")}


def _time_limits(reader: Reader) -> dict[str, Any]:
    """Returns when the order expires and when its position is closed.

    Raises:
        Refused: `missing_field` for an `on_expiry` without `expires_in_s`.
    """
    on_expiry = reader.choice("on_expiry", {each.value: each for each in OnExpiry})
    if on_expiry is not None:
        reader.require("expires_in_s")
    return {
        "expires_in_s": reader.whole("expires_in_s", request_limits.LONGEST_TIME_LIMIT_S),
        "on_expiry": on_expiry or OnExpiry.CANCEL,
        "exit_after_s": reader.whole("exit_after_s", request_limits.LONGEST_TIME_LIMIT_S),
    }


def _risk(reader: Reader) -> dict[str, Any]:
    """Returns the risk. A text that is no number may be a label, and matters only if the signal may open."""
    try:
        return {"risk_percent": reader.number("risk_percent", largest=_WHOLE)}
    except Refused as refused:
        if refused.code != "invalid_number":
            raise
        return {"risk_unreadable": True}


def check_stop_loss(signal: Signal) -> None:
    """Raises Refused (`stop_too_far`) if the stop-loss is too far from a known entry price.

    The entry price is a limit, a trigger, or the reference.
    """
    entries = [leg.price or leg.stop_price for leg in signal.legs] or [None]
    for entry in entries:
        own = entry if signal.order_type is not OrderType.MARKET else None
        protective_orders.check_distance(signal.stop_loss, own or _own_price(signal))


def _own_price(signal: Signal) -> Decimal | None:
    return signal.stop_price if signal.order_type is OrderType.STOP_MARKET else signal.price


def exchange(reader: Reader) -> str | None:
    """Returns the exchange in the body: lower case, without TradingView's suffix for delayed data.

    Raises:
        Refused: `invalid_choice` for an exchange that this deployment does not know.
    """
    name = reader.text("exchange")
    if name is None:
        return None
    name = _DELAYED.sub("", name.lower())
    known = (*config.exchanges(), "paper")
    if name not in known:
        raise Refused("invalid_choice", field=reader.shown("exchange"), allowed=", ".join(sorted(known)))
    return name


def _sent_at(reader: Reader) -> datetime | None:
    # Many bodies have a bar's time and a sending time. The older of both excludes a stale signal.
    return min(filter(None, (reader.time("timestamp"), reader.time("timenow"))), default=None)
