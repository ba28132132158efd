"""Trades, as items of the table `trades`."""

from collections.abc import Iterable
from typing import Any

from chalicelib import aws
from chalicelib.events import outbox
from chalicelib.journal.models import Trade, timestamp

UNCOUNTED = "uncounted"
"""Mark of a trade that is not in the daily totals yet, and index of these trades."""


def trade_writes(trades: Iterable[Trade]) -> list[aws.Write]:
    """Returns the writes of trades and their events, for the transaction of the fills that closed them."""
    found = []
    for trade in trades:
        found.append(aws.put_write("trades", _item(trade), "attribute_not_exists(closed)"))
        found.append(outbox.event_write(trade.closed_event()))
    return found


def trade_from_item(item: aws.Item) -> Trade:
    """Returns the trade stored in an item."""
    return Trade.model_validate(item)


def _item(trade: Trade) -> dict[str, Any]:
    times = {
        "opened_at": timestamp(trade.opened_at) if trade.opened_at else None,
        "closed_at": timestamp(trade.closed_at),
    }
    keys = {"closed": trade.sort_key, UNCOUNTED: aws.index_shard(trade.trade_id)}
    return trade.model_dump() | times | keys | {"market_type": trade.market_type.value}
