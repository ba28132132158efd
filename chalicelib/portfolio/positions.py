"""Positions and balances of an account, simulated or at an exchange, for the API."""

from decimal import Decimal
from typing import Any

from chalicelib.accounts.model import Account
from chalicelib.exchanges.wire import rounded
from chalicelib.paper import store as paper_store
from chalicelib.portfolio import snapshots
from chalicelib.trading import MarketType


def positions_of(account: Account) -> list[dict[str, Any]]:
    """Returns the account's futures positions and, on spot, its holdings without cash.

    Each has `account_id`, `symbol`, `market_type`, `quantity` (base units, negative if short), `entry_price`
    (quote per base, None if unknown), `leverage`, `unrealized_profit` and `at`. `at` is when the exchange was
    queried. It is None for simulated accounts, which are always current.
    """
    found = _exchange_positions(account) if account.has_exchange else _paper_positions(account)
    return [{"account_id": account.account_id, **position} for position in found]


def balances_of(account: Account) -> list[dict[str, Any]]:
    """Returns the account's balances by `currency`, each with `free` and `total`."""
    if account.has_exchange:
        snapshot = snapshots.latest_snapshot(account.account_id) or {}
        return [
            {name: row[name] for name in ("currency", "free", "total")}
            for row in snapshot.get("balances", [])
        ]
    book = paper_store.read_book(account)
    return [
        {"currency": currency, "free": book.free(currency), "total": total}
        for currency, total in sorted(book.cash.items())
    ]


def _exchange_positions(account: Account) -> list[dict[str, Any]]:
    snapshot = snapshots.latest_snapshot(account.account_id)
    if snapshot is None:
        return []
    at = snapshot["taken_at"]
    held = [
        _position(row["currency"], MarketType.SPOT, row["total"], None, at=at)
        for row in snapshot["balances"]
        if row["currency"] not in {"USDT", "USDC", "USD"} and row["total"]
    ]
    return [{**position, "at": at} for position in snapshot["positions"]] + held


def _paper_positions(account: Account) -> list[dict[str, Any]]:
    book = paper_store.read_book(account)
    held = [
        _position(name, MarketType.SPOT, holding.quantity, holding.average_price)
        for name, holding in sorted(book.holdings.items())
    ]
    positions = [
        _position(
            name,
            MarketType.FUTURES,
            position.quantity,
            position.entry_price,
            leverage=Decimal(position.leverage),
        )
        for name, position in sorted(book.positions.items())
    ]
    return [position for position in positions + held if position["quantity"]]


def _position(
    symbol: str,
    market_type: MarketType,
    quantity: Decimal,
    entry_price: Decimal | None,
    *,
    leverage: Decimal | None = None,
    at: str | None = None,
) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "market_type": market_type.value,
        "quantity": quantity,
        "entry_price": None if entry_price is None else rounded(entry_price),
        "leverage": leverage,
        "unrealized_profit": None,
        "at": at,
    }
