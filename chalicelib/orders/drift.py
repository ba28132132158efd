"""Whether an exchange and the books disagree: futures positions that changed although none of our orders traded.

Somebody traded by hand, or the exchange liquidated. The books of an account are its positions as last looked at and what its orders had
filled by then, on its own item in `following`. A difference counts when it is still there a minute later: an order that fills between the
look at the orders and the look at the positions is none. Whatever changed the positions, the change of the books is told.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.exchanges.accounts import Account
from chalicelib.orders import events, ledger
from chalicelib.orders.models import Order
from chalicelib.telemetry import log
from chalicelib.trading import MarketType

_LOOK_AGAIN = timedelta(minutes=1)
_ZERO = Decimal(0)


def check(account: Account, own: Mapping[str, Any], unfinished: Sequence[Order], snapshot: Mapping[str, Any], now: datetime) -> None:
    """Holds a snapshot against the books, and keeps it as the books for the next time.

    Args:
        own: The account's item in `following`, as it was before the snapshot.
        unfinished: Its orders that have not ended, as they were before the snapshot.
    """
    found = _found(own, unfinished, snapshot)
    books = own.get("books")
    differences = _differences(books, found) if books and books["traded"] == found["traded"] else []
    if differences and not own.get("doubted"):
        # The books stay as they were, so that the next look is held against the same.
        ledger.doubt(account.account_id, account.exchange, now + _LOOK_AGAIN)
        return
    told = [*_changes(account, books, found, snapshot, now), *([_event(account, differences, now)] if differences else [])]
    ledger.keep_books(account.account_id, books, found, [outbox.write(event) for event in told])
    if differences:
        log.warning("positions differ from the books", extra={"account_id": account.account_id, "differences": differences})


def _found(own: Mapping[str, Any], unfinished: Sequence[Order], snapshot: Mapping[str, Any]) -> dict[str, Any]:
    positions: dict[str, Decimal] = {}
    for position in snapshot["positions"]:
        positions[position["symbol"]] = positions.get(position["symbol"], _ZERO) + position["quantity"]
    filled = {order.order_id: order.filled for order in unfinished if not order.status.final}
    return {"positions": positions, "traded": {"orders": own.get("orders", _ZERO), "filled": filled}}


def _differences(books: Mapping[str, Any], found: Mapping[str, Any]) -> list[dict[str, Any]]:
    symbols = sorted(books["positions"].keys() | found["positions"].keys())
    pairs = [(symbol, books["positions"].get(symbol, _ZERO), found["positions"].get(symbol, _ZERO)) for symbol in symbols]
    return [{"symbol": symbol, "books": before, "exchange": after} for symbol, before, after in pairs if before != after]


def _changes(
    account: Account, books: Mapping[str, Any] | None, found: Mapping[str, Any], snapshot: Mapping[str, Any], now: datetime
) -> list[Event]:
    """`position.changed` of each symbol whose position, a long and a short one added up, is another than in the books."""
    before = books["positions"] if books else {}
    told = []
    for symbol in sorted(before.keys() | found["positions"].keys()):
        quantity = found["positions"].get(symbol, _ZERO)
        if quantity != before.get(symbol, _ZERO):
            prices = [position["entry_price"] for position in snapshot["positions"] if position["symbol"] == symbol]
            price = prices[0] if len(prices) == 1 else None
            version = int(now.timestamp() * 1_000_000)
            told.append(events.of_position(account, MarketType.FUTURES, symbol, quantity, price, version=version, at=now))
    return told


def _event(account: Account, differences: list[dict[str, Any]], now: datetime) -> Event:
    return Event(
        event_id=event_id("account.drifted", account.account_id, now.isoformat()),
        type="account.drifted",
        payload={
            "account_id": account.account_id,
            "account_name": account.name,
            "exchange": account.exchange,
            "market_type": "futures",
            "differences": differences,
        },
        entity=f"account#{account.account_id}",
        user_id=account.user_id,
        created_at=now,
    )
