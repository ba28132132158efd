"""Traces of an order at an exchange besides its own record: the list of open orders, and its trades.

An exchange may not show an order by its id for seconds or minutes (freqtrade#12681, hummingbot#493). Both
traces come from other tables of the exchange. They are the second proof before an order counts as absent.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.errors import OutcomeUnknown
from chalicelib.exchanges.api import Api
from chalicelib.exchanges.client_ids import is_ours
from chalicelib.exchanges.dialects.dialect import LATE_ARRIVAL_S, ExchangeDialect
from chalicelib.exchanges.markets import Listing, Listings
from chalicelib.exchanges.protocol import OrderState, OrderStatus, Trade
from chalicelib.trading import OrderType

_TRADED_WITHIN = timedelta(seconds=2 * LATE_ARRIVAL_S)  # a market order trades on arrival or never


def find(
    dialect: ExchangeDialect,
    api: Api,
    listing: Listing,
    listings: Listings,
    sent: OrderState,
    since: datetime,
    *,
    strict: bool,
) -> OrderState | None:
    """Returns an order as its traces show it. None if it has none.

    Args:
        sent: The order as it was sent. `updated_at` is the time of sending.
        since: The order was sent at this time or later.
        strict: Whether a trade without a known order makes the result uncertain.

    Raises:
        OutcomeUnknown: There is such a trade on the order's side.
    """
    for state in dialect.open_orders(api, listing, listings):
        if state.client_order_id == sent.client_order_id:
            return state
    trades = dialect.trades(api, listing, sent.side, since)
    own = [trade for trade in trades if trade.client_order_id == sent.client_order_id]
    if own:
        return _from_trades(sent, own)
    if strict and any(_may_be(trade, sent) for trade in trades):
        raise OutcomeUnknown(f"{dialect.name}: a later trade may belong to the order")
    return None


def _may_be(trade: Trade, sent: OrderState) -> bool:
    """Returns whether a trade may belong to the order.

    A conditional order trades as another order, which may lack our id.
    """
    if (
        sent.order_type is OrderType.MARKET
        and trade.fill.at
        and sent.updated_at
        and trade.fill.at > sent.updated_at + _TRADED_WITHIN
    ):
        return False
    return trade.client_order_id is None or (sent.trigger and not is_ours(trade.client_order_id))


def _from_trades(sent: OrderState, trades: Sequence[Trade]) -> OrderState:
    fills = [trade.fill for trade in trades]
    filled = sum((fill.quantity for fill in fills), Decimal(0))
    value = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
    currencies = {fill.fee_currency for fill in fills}
    known = len(currencies) == 1 and all(fill.fee is not None for fill in fills)
    return replace(
        sent,
        exchange_order_id=trades[0].exchange_order_id,
        status=OrderStatus.FILLED if filled >= sent.quantity else OrderStatus.PARTIALLY_FILLED,
        filled=filled,
        average_price=value / filled,
        fee=sum((fill.fee or Decimal(0) for fill in fills), Decimal(0)) if known else None,
        fee_currency=currencies.pop() if known else None,
        updated_at=max((fill.at for fill in fills if fill.at), default=sent.updated_at),
    )
