"""Adds trades to the daily totals of the table `performance`.

A trade is written with the mark `uncounted`. The transaction that adds it to its totals takes the mark away,
so that each trade counts once, however often its record is delivered. The totals of a user are added up here
and not with the fill: many accounts that close at the same time would conflict on them.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.journal.figures import Totals, joined, totals_of
from chalicelib.journal.models import Trade, timestamp
from chalicelib.journal.store import UNCOUNTED, trade_from_item
from chalicelib.paper.balances import DOLLARS

GROUPINGS = ("strategy", "account", "symbol", "user")
"""What totals are kept by."""

EVERYBODY = "everybody"
"""Stands for the user in totals by user that administrators compare."""

TradeKey = tuple[str, str]
"""User and range key of a trade."""

_AT_ONCE = 10  # trades in a transaction: each is marked, and changes the totals of up to five groups
_TRIES = 8


def add_up(keys: Sequence[TradeKey]) -> int:
    """Adds trades to their totals, in this order. Returns how many were not counted before.

    Raises:
        Retryable: The totals were modified concurrently on each attempt.
    """
    users: dict[str, list[TradeKey]] = {}
    for key in dict.fromkeys(keys):
        users.setdefault(key[0], []).append(key)
    return sum(
        _add_up(own[start : start + _AT_ONCE])
        for own in users.values()
        for start in range(0, len(own), _AT_ONCE)
    )


def sweep(older_than: timedelta, now: datetime) -> int:
    """Adds up trades whose record in the table's stream was lost. Returns their number."""
    before = timestamp(now - older_than)
    waiting = [
        (item["user_id"], item["closed"])
        for shard in aws.SHARDS
        for item in aws.query_all(
            "trades",
            f"{UNCOUNTED} = :shard AND closed < :before",
            index=UNCOUNTED,
            shard=shard,
            before=before,
        )
    ]
    return add_up(sorted(waiting))


def from_stream(records: Iterable[dict[str, Any]]) -> list[TradeKey]:
    """Returns the keys of the trades in DynamoDB stream records."""
    inserted = [record["dynamodb"]["Keys"] for record in records if record["eventName"] == "INSERT"]
    return [(keys["user_id"]["S"], keys["closed"]["S"]) for keys in inserted]


def totals_key(user_id: str, by: str, day: date, currency: str, name: str) -> aws.Key:
    """Returns the key of a group's totals of one day."""
    return {"subject": f"{user_id}#{by}", "day": f"{day.isoformat()}#{currency}#{name}"}


def totals_item(key: aws.Key, totals: Totals, version: int) -> aws.Item:
    """Returns the item of totals. They are one text, because an answer reads hundreds of them."""
    return {**key, "totals": totals.model_dump_json(exclude_defaults=True), "version": version}


def totals_from_item(item: aws.Item) -> Totals:
    """Returns the totals stored in an item."""
    return Totals.model_validate_json(item["totals"])


def unit(currency: str) -> str:
    """Returns the currency in which results are added up. Dollar currencies count at par."""
    return "USD" if currency in DOLLARS else currency


def _add_up(keys: Sequence[TradeKey]) -> int:
    for attempt in range(_TRIES):
        items = aws.get_many([("trades", {"user_id": user_id, "closed": closed}) for user_id, closed in keys])
        trades = [trade_from_item(item) for item in items if item and UNCOUNTED in item]
        if not trades:
            return 0
        try:
            aws.transact([*map(_counted_write, trades), *_totals_writes(trades)])
        except aws.WriteRefused:
            aws.pause(attempt)
        else:
            return len(trades)
    raise Retryable("totals modified concurrently on every attempt")


def _counted_write(trade: Trade) -> aws.Write:
    key = {"user_id": trade.user_id, "closed": trade.sort_key}
    return aws.update_write("trades", key, f"REMOVE {UNCOUNTED}", f"attribute_exists({UNCOUNTED})")


def _totals_writes(trades: Sequence[Trade]) -> list[aws.Write]:
    """Returns the writes of the totals with these trades, conditional on the totals as they were read."""
    added: dict[tuple[str, str], list[Trade]] = {}
    for trade in trades:
        for key in _keys(trade):
            added.setdefault((key["subject"], key["day"]), []).append(trade)
    keys = [{"subject": subject, "day": day} for subject, day in added]
    found = aws.get_many([("performance", key) for key in keys])
    writes = []
    for key, item, own in zip(keys, found, added.values(), strict=True):
        after = totals_from_item(item) if item else Totals()
        for trade in own:
            after = joined(after, totals_of(trade))
        version = int(item["version"]) if item else 0
        condition = "version = :read" if version else "attribute_not_exists(version)"
        values = {"read": version} if version else {}
        writes.append(aws.put_write("performance", totals_item(key, after, version + 1), condition, **values))
    return writes


def _keys(trade: Trade) -> list[aws.Key]:
    names = {
        "strategy": trade.strategy or "",
        "account": trade.account_id,
        "symbol": trade.symbol,
        "user": trade.user_id,
    }
    day, currency = date.fromisoformat(timestamp(trade.closed_at)[:10]), unit(trade.currency)
    own = [totals_key(trade.user_id, by, day, currency, name) for by, name in names.items()]
    return [*own, totals_key(EVERYBODY, "user", day, currency, trade.user_id)]
