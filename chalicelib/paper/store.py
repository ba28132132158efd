"""The paper exchange's books, as items of the table `portfolios`.

An order's effects are written in the same transaction as the order: `effect_writes` returns the writes. Each
change increments the version of the item `order store`. If the book was modified concurrently, all writes are
refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Side, StopMoves
from chalicelib.paper.book import Book, Holding, Position, Waiting, price_names
from chalicelib.trading import MarketType, OrderType

_LEDGER = "ledger"
_ZERO = Decimal(0)


def read_book(account: Account) -> Book:
    """Returns a paper account's book. A new account has its starting cash."""
    return book(account, items(account.account_id))


def items(account_id: str) -> list[aws.Item]:
    """Returns the stored items of a paper account's book, for `book`."""
    return list(aws.query_all("portfolios", "account_id = :account", account=account_id, consistent=True))


def waiting_for(instrument_name: str) -> Iterator[dict[str, Any]]:
    """Yields the references of an instrument's waiting orders and futures positions, on any account."""
    for item in aws.query_all("portfolios", "waiting = :name", index="waiting", name=instrument_name):
        yield item["reference"]


@dataclass(frozen=True)
class Wanted:
    """A price that simulated accounts need.

    Attributes:
        names: The instruments that have it, best first.
    """

    exchange: str
    market_type: MarketType
    names: tuple[str, ...]


def wanted_prices() -> set[Wanted]:
    """The prices of everything that simulated accounts hold or have orders waiting for."""
    found = set()
    for shard in aws.SHARDS:
        for item in aws.query_all("portfolios", "price_shard = :shard", index="wanted", shard=shard):
            exchange, market_type, names = str(item["price_of"]).split("#", 2)
            found.add(Wanted(exchange, MarketType(market_type), tuple(names.split(" "))))
    return found


def _wanting(account: Account, market_type: MarketType, *names: str) -> dict[str, Any]:
    """Has the prices of an item fetched: see `wanted_prices`."""
    return {
        "price_shard": aws.index_shard(account.account_id),
        "price_of": f"{account.exchange}#{market_type.value}#{' '.join(names)}",
    }


def effect_writes(book: Book) -> list[aws.Write]:
    """Returns the book's changes as writes that succeed only if the stored book has not changed."""
    account_id = book.account.account_id
    ledger = {
        "account_id": account_id,
        "item": _LEDGER,
        "cash": book.cash,
        "orders": book.orders,
        "version": book.version + 1,
        "reset_at_order": book.reset_at_order,
    }
    if book.version:
        writes = [aws.put_write("portfolios", ledger, "version = :read", read=book.version)]
    else:
        writes = [aws.put_write("portfolios", ledger, "attribute_not_exists(version)")]
    return writes + [_write(book, account_id, name) for name in sorted(book.changed)]


def order_writes(book: Book, names: Iterable[str]) -> list[aws.Write]:
    """Returns the changes of these waiting orders alone, with the same condition as `effect_writes`."""
    account_id = book.account.account_id
    key = {"account_id": account_id, "item": _LEDGER}
    values = {"next": book.version + 1, "read": book.version}
    ledger = aws.update_write("portfolios", key, "SET version = :next", "version = :read", **values)
    return [ledger, *(_write(book, account_id, name) for name in sorted(names))]


def _write(book: Book, account_id: str, item: str) -> aws.Write:
    key = {"account_id": account_id, "item": item}
    kind, _, name = item.partition("#")
    values: dict[str, Any] | None
    if kind == "asset":
        holding = book.holdings[name]
        more = {"owned": _strategy_shares(holding.owned)}
        more |= _wanting(book.account, MarketType.SPOT, *price_names(name, book.account.currency))
        values = _attributes(holding) | more if holding.quantity else None
    elif kind == "position":
        position = book.positions[name]
        more = {"owned": _strategy_shares(position.owned)} | _price_subscription(book.account, name)
        more |= _wanting(book.account, MarketType.FUTURES, name)
        values = _attributes(position) | more if position.quantity else None
    else:
        values = None
        if waiting := book.waiting.get(name):
            instrument = waiting.order.instrument
            values = _order_values(waiting) | _wanting(book.account, instrument.market_type, instrument.name)
    return aws.put_write("portfolios", key | values) if values else aws.delete_write("portfolios", key)


def _strategy_shares(owned: dict[str, Decimal]) -> dict[str, Decimal]:
    """Returns the shares of strategies.

    The rest belongs to no strategy. DynamoDB permits no empty key for it.
    """
    return {name: quantity for name, quantity in owned.items() if name}


def _price_subscription(account: Account, name: str) -> dict[str, Any]:
    """Returns the attributes that subscribe a position to its prices, because a price may liquidate it."""
    reference = {"account_id": account.account_id, "exchange": account.exchange, "user_id": account.user_id}
    return {"waiting": name, "reference": reference}


def _order_values(waiting: Waiting) -> dict[str, Any]:
    order = _attributes(waiting.order) | {"instrument": _attributes(waiting.order.instrument)}
    order["moves"] = waiting.order.moves and _attributes(waiting.order.moves)
    return {
        "waiting": waiting.order.instrument.name,
        "order": order,
        "reserved": waiting.reserved,
        "triggered": waiting.triggered,
        "reference": waiting.reference,
        "placed_at": waiting.placed_at.isoformat(),
        "number": waiting.number,
        "moved_at": waiting.moved_at and waiting.moved_at.isoformat(),
    }


def book(account: Account, stored: Iterable[aws.Item]) -> Book:
    """Returns the book from its stored items."""
    found = Book(account, {account.currency: account.starting_cash})
    for item in stored:
        kind, _, name = item["item"].partition("#")
        if kind == _LEDGER:
            found.cash = dict(item["cash"])
            found.orders = int(item["orders"])
            found.version = int(item["version"])
            found.reset_at_order = int(item.get("reset_at_order", 0))
        elif kind == "asset":
            found.holdings[name] = Holding(
                item["quantity"], item["average_price"], dict(item.get("owned", {})), item.get("carry", _ZERO)
            )
            found.holdings[name].lots = list(item.get("lots", []))
        elif kind == "position":
            leverage, owned = int(item["leverage"]), dict(item.get("owned", {}))
            found.positions[name] = Position(
                item["quote"],
                item["quantity"],
                item["entry_price"],
                leverage,
                owned,
                list(item.get("lots", [])),
            )
        elif kind == "order":
            found.waiting[name] = _waiting(item)
    return found


def _waiting(item: aws.Item) -> Waiting:
    stored = item["order"]
    instrument = Instrument(
        **stored["instrument"] | {"market_type": MarketType(stored["instrument"]["market_type"])}
    )
    leverage = stored["leverage"]
    # An item of an earlier version holds fields that the request no longer has.
    known = {each.name for each in fields(OrderRequest)}
    order = OrderRequest(
        **{name: value for name, value in stored.items() if name in known}
        | {
            "instrument": instrument,
            "side": Side(stored["side"]),
            "order_type": OrderType(stored["order_type"]),
            "leverage": None if leverage is None else int(leverage),
            "moves": _moves(stored.get("moves")),
        }
    )
    placed_at, number = datetime.fromisoformat(item["placed_at"]), int(item.get("number", 0))
    moved_at = datetime.fromisoformat(item["moved_at"]) if item.get("moved_at") else None
    return Waiting(order, item["reserved"], item["triggered"], item["reference"], placed_at, number, moved_at)


def _moves(stored: Mapping[str, Any] | None) -> StopMoves | None:
    if stored is None:
        return None
    left = stored["take_profits_left"]
    return StopMoves(**{**stored, "take_profits_left": None if left is None else int(left)})


def _attributes(value: Any) -> dict[str, Any]:
    """Returns a dataclass as a flat map, with enum members as their text."""
    return {
        attribute.name: str(inner)
        if isinstance(inner := getattr(value, attribute.name), (Side, OrderType, MarketType))
        else inner
        for attribute in fields(value)
        if attribute.name not in {"instrument", "oco_sibling", "exits"}  # the reference has the exits
    }
